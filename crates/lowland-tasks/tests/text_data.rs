//! Texts from files, and batches of them. In one file, since all cases share what writes the files.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lowland::Samples;
use lowland_tasks::Error;
use lowland_tasks::data::{Targets, epoch_order};
use lowland_tasks::text::{
    GlueTask, Metric, Text, TextColumns, TextCorpus, TextKind, TextSet, TextSplits, TextTokenizer,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny-bert")
}

fn tokenizer(max_length: usize) -> TextTokenizer {
    TextTokenizer::from_folder(&tiny(), max_length).unwrap()
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn load(task: GlueTask, files: &[(&str, &[u8])]) -> Result<TextSplits, Error> {
    task.load(folder(files).path(), &tokenizer(16))
}

/// The words of a text, as the tiny vocabulary has them.
fn words(set: &TextSet, index: usize) -> Vec<u32> {
    set.tokens(index).0.to_vec()
}

fn ids(text: impl Into<Text>) -> Vec<u32> {
    tokenizer(16).encode(&[text.into()]).unwrap().remove(0).ids
}

#[test]
fn sst2_with_three_labelled_files_has_three_parts() {
    let splits = load(
        GlueTask::Sst2,
        &[
            ("train.tsv", b"sentence\tlabel\na good film \t1\nit was bad\t0\n"),
            ("dev.tsv", b"sentence\tlabel\ngood\t1\n"),
            ("test.tsv", b"sentence\tlabel\nbad , bad film .\t0"),
        ],
    )
    .unwrap();
    assert_eq!(splits.train.labels(), [1, 0]);
    assert_eq!(splits.validation.unwrap().labels(), [1]);
    assert_eq!(words(&splits.train, 0), ids("a good film"));
    assert_eq!((splits.test.len(), words(&splits.test, 0)), (1, ids("bad, bad film.")));
    assert_eq!(splits.train.classes(), ["negative", "positive"]);
    assert_eq!(splits.train.class_counts(), [1, 1]);
    assert_eq!(splits.remarks, [""; 0]);
}

#[test]
fn without_a_labelled_test_file_dev_is_the_test_part_and_that_is_said() {
    let train: (&str, &[u8]) = ("train.tsv", b"sentence\tlabel\na good film \t1\n");
    let dev: (&str, &[u8]) = ("dev.tsv", b"sentence\tlabel\ngood\t1\nbad\t0\n");
    let unlabelled = "test.tsv has no labels: dev.tsv is the test part";
    for (test, remark) in [
        (Some(&b"index\tsentence\n0\tthe film\n"[..]), unlabelled),
        (Some(b"sentence\tlabel\nthe film\t-1\nbad\t-1\n"), unlabelled),
        (None, "there is no test file: dev.tsv is the test part"),
    ] {
        let test = test.map(|bytes| ("test.tsv", bytes));
        let files: Vec<_> = [train, dev].into_iter().chain(test).collect();
        let splits = load(GlueTask::Sst2, &files).unwrap();
        assert_eq!((splits.train.len(), splits.test.len(), splits.validation), (1, 2, None));
        assert_eq!(splits.remarks[0], remark);
    }
}

#[test]
fn the_same_sentences_are_read_as_tables_and_as_json() {
    let header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
    let glue = format!("{header}1\t1\t2\tthe film\tthe \"film\n");
    let csv = "idx,sentence1,sentence2,label\n0,the film,\"the \"\"film\",1\n";
    let lines = "{\"sentence1\": \"the film\", \"sentence2\": \"the \\\"film\", \"label\": 1}\n";
    let list = format!("[\n{},\n{}]", lines.trim(), lines);
    let expected = ids(("the film", "the \"film"));
    for (ending, text) in
        [("tsv", &*glue), ("csv", csv), ("jsonl", lines), ("json", lines), ("json", &list)]
    {
        let names = ["train", "dev"].map(|name| format!("{name}.{ending}"));
        let files: Vec<(&str, &[u8])> =
            names.iter().map(|name| (&**name, text.as_bytes())).collect();
        let splits = load(GlueTask::Mrpc, &files).unwrap();
        assert_eq!((words(&splits.train, 0), splits.test.labels()[0]), (expected.clone(), 1));
    }
}

#[test]
fn the_other_tasks_are_read_as_published() {
    let mnli = "index\tpromptID\tsentence1\tsentence2\tlabel1\tgold_label\n";
    for (task, header, row, dev, label) in [
        (GlueTask::Mnli, mnli, "0\t7\ta man\ta dog\tneutral\tcontradiction", "dev_matched", 2),
        (
            GlueTask::Qnli,
            "index\tquestion\tsentence\tlabel\n",
            "0\ta man\ta dog\tnot_entailment",
            "dev",
            1,
        ),
        (
            GlueTask::Rte,
            "index\tsentence1\tsentence2\tlabel\n",
            "0\ta man\ta dog\tentailment",
            "dev",
            0,
        ),
        (GlueTask::Wnli, "index\tsentence1\tsentence2\tlabel\n", "0\ta man\ta dog\t1", "dev", 1),
        (
            GlueTask::Qqp,
            "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n",
            "0\t1\t2\ta man\ta dog\t0",
            "dev",
            0,
        ),
    ] {
        let text = format!("{header}{row}\n");
        let dev = format!("{dev}.tsv");
        let files: [(&str, &[u8]); 2] = [("train.tsv", text.as_bytes()), (&dev, text.as_bytes())];
        let splits = load(task, &files).unwrap();
        assert_eq!(splits.test.labels(), [label], "{task}");
        assert_eq!(words(&splits.train, 0), ids(("a man", "a dog")), "{task}");
        assert_eq!(splits.train.classes().len(), task.classes().len());
    }
}

/// The numbers that are looked for in a set.
fn looked_for(set: &TextSet) -> &[f32] {
    match set.targets() {
        Targets::Numbers(numbers) => numbers,
        Targets::Classes { .. } => panic!("classes"),
    }
}

#[test]
fn stsb_has_a_number_for_each_pair_in_the_forms_that_circulate() {
    let glue = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\t\
                sentence1\tsentence2\tscore\n\
                0\tmain-captions\tMSRvid\t2012test\t1\tnone\tnone\ta man\ta \"dog\t4.750\n\
                1\tmain-captions\tMSRvid\t2012test\t4\tnone\tnone\tbread\tfood\t0\n";
    let csv = "sentence1,sentence2,score\na man,\"a \"\"dog\",4.75\nbread,food,0.0\n";
    let lines = "{\"sentence1\": \"a man\", \"sentence2\": \"a \\\"dog\", \"label\": 4.75, \"idx\": 0}\n\
                 {\"sentence1\": \"bread\", \"sentence2\": \"food\", \"label\": 0, \"idx\": 1}\n";
    // Hidden labels: none at all, as GLUE has it, or -1.0 throughout, as its copies have it.
    let hidden = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\n\
                  0\tmain\tMSRvid\t2012\t1\tnone\tnone\ta man\ta dog\n";
    let minus =
        "{\"sentence1\": \"a man\", \"sentence2\": \"a dog\", \"label\": -1.0, \"idx\": 0}\n";
    for (ending, text, test) in [("tsv", glue, hidden), ("csv", csv, ""), ("jsonl", lines, minus)] {
        let [train, dev, rest] = ["train", "dev", "test"].map(|name| format!("{name}.{ending}"));
        let mut files: Vec<(&str, &[u8])> =
            vec![(&train, text.as_bytes()), (&dev, text.as_bytes())];
        if !test.is_empty() {
            files.push((&rest, test.as_bytes()));
        }
        let splits = load(GlueTask::Stsb, &files).unwrap();
        assert_eq!(looked_for(&splits.train), [4.75, 0.0], "{ending}");
        assert_eq!(words(&splits.train, 0), ids(("a man", "a \"dog")), "{ending}");
        assert_eq!((splits.test.len(), splits.validation), (2, None), "{ending}");
        let why = if test.is_empty() { "there is no test file" } else { "has no labels" };
        assert!(splits.remarks[0].contains(why), "{:?}", splits.remarks);
        assert_eq!((splits.train.classes(), splits.train.labels()), (&[][..], &[][..]));
        assert_eq!(splits.train.targets().outputs(), 1);
        assert_ne!(splits.train.sha256(), splits.train.select(&[1, 0]).unwrap().sha256());
    }
    // Copies with all labels have three parts.
    let copy = |name| (name, lines.as_bytes());
    let splits =
        load(GlueTask::Stsb, &[copy("train.jsonl"), copy("dev.jsonl"), copy("test.jsonl")])
            .unwrap();
    assert_eq!(splits.validation.map(|set| looked_for(&set).to_vec()), Some(vec![4.75, 0.0]));
}

#[test]
fn stsbenchmark_is_read_as_its_publishers_have_it() {
    let train = "main-captions\tMSRvid\t2012test\t0001\t5.000\ta man\ta \"dog .\r\n\
                 main-news\theadlines\t2013\t7\t0\t\"bread\tfood, food, food, food,,,,,\r\n\
                 main-forums\tdeft\t2014\t12\t2.4\tgood\tbad\thttp://a\tb\r\n";
    let dev = "main\tMSRvid\t2012\t1\t1.25\ta, b, c, d, e, f, g, h, i man\ta dog\n";
    let test = "main\tMSRvid\t2012\t1\t3.5\ta man\ta dog\nmain\tx\t2012\t1\t3.5\ta man\n";
    let glue: (&str, &[u8]) = ("train.tsv", b"sentence1\tsentence2\tscore\na\tb\t1\n");
    let files = folder(&[
        ("sts-train.csv", train.as_bytes()),
        ("sts-dev.csv", dev.as_bytes()),
        ("sts-test.csv", test.as_bytes()),
        glue,
    ]);
    let error = GlueTask::Stsb.corpus(files.path(), false).unwrap_err().to_string();
    assert!(error.contains("sts-test.csv:2: expected at least 7 columns, found 6;"), "{error}");
    let found = GlueTask::Stsb.corpus(files.path(), true).unwrap();
    let texts =
        [("a man", "a \"dog ."), ("\"bread", "food, food, food, food,,,,,"), ("good", "bad")];
    assert_eq!(found.train.texts, texts.map(Text::from));
    assert_eq!(found.train.targets.numbers(), [5.0, 0.0, 2.4]);
    let validation = found.validation.unwrap();
    assert_eq!(validation.targets.numbers(), [1.25]);
    assert_eq!(validation.texts, [("a, b, c, d, e, f, g, h, i man", "a dog").into()]);
    assert_eq!(found.test.targets.numbers(), [3.5]);
    assert_eq!(
        found.remarks,
        [
            "the files are those of STSbenchmark (sts-train), not those of GLUE (train)",
            "left out 1 damaged line: sts-test.csv:2",
            "left out 1 file that is not used: train.tsv",
        ]
    );
    // A copy with commas and names.
    let named = "score,sentence1,sentence2\n4.5,a man,\"a, dog\"\n";
    let files = ["sts-train.csv", "sts-dev.csv"].map(|name| (name, named.as_bytes()));
    let found = GlueTask::Stsb.corpus(folder(&files).path(), false).unwrap();
    assert_eq!(found.train.texts, [("a man", "a, dog").into()]);
    let error = load(GlueTask::Stsb, &[]).unwrap_err().to_string();
    assert!(error.contains("sts-train.csv"), "{error}");
}

#[test]
fn similarities_that_are_no_number_from_0_to_5_are_damaged_lines() {
    let rows =
        b"sentence1\tsentence2\tscore\na\tb\t5.1\na\tb\tNaN\na\tb\thigh\na\tb\t-0.5\na\tdog\t5\n";
    let folder =
        folder(&[("train.tsv", rows), ("dev.tsv", b"sentence1\tsentence2\tscore\na\tb\t2.5\n")]);
    let error = GlueTask::Stsb.corpus(folder.path(), false).unwrap_err().to_string();
    assert!(error.starts_with("4 damaged lines: "), "{error}");
    assert!(
        error.contains("train.tsv:2: expected a number from 0 to 5, found \"5.1\"; "),
        "{error}"
    );
    let found = GlueTask::Stsb.corpus(folder.path(), true).unwrap();
    assert_eq!(found.train.targets.numbers(), [5.0]);
    assert!(found.classes.is_empty());
}

/// Your own texts.
fn own(files: &[(&str, &[u8])], columns: &TextColumns, skip: bool) -> Result<TextCorpus, Error> {
    TextKind::Own.corpus(folder(files).path(), columns, skip)
}

#[test]
fn your_own_tables_have_any_classes_and_columns() {
    let train: (&str, &[u8]) =
        ("train.csv", b"id;review;stars\n1;\"good; very\";10\n2;bad;9\n3;\"two\nlines\";10\n");
    let test: (&str, &[u8]) = ("valid.jsonl", b"{\"text\": \"food\", \"label\": 9}\n");
    let found = own(&[train, test, ("notes.md", b"x")], &TextColumns::default(), false).unwrap();
    assert_eq!(found.classes, ["9", "10"], "as numbers go");
    assert_eq!(found.train.targets.labels(), [1, 0, 1]);
    assert_eq!(found.train.texts[0], Text::from("good; very"));
    assert_eq!(found.train.texts[2], Text::from("two\nlines"));
    assert_eq!(
        found.remarks,
        [
            "the columns taken are \"review\", \"stars\"",
            "there is no test file: valid.jsonl is the test part",
            "left out 1 file that is not used: notes.md",
        ]
    );

    // No line of names: columns by number.
    let rows: &[u8] = b"World,a man,long\nSport,a dog,short\n";
    let columns = TextColumns {
        text: Some("2".to_owned()),
        pair: Some("3".to_owned()),
        label: Some("1".to_owned()),
    };
    let found = own(&[("train.csv", rows), ("test.csv", rows)], &columns, false).unwrap();
    assert_eq!(found.classes, ["Sport", "World"]);
    assert_eq!(found.test.texts[0], Text::from(("a man", "long")));
}

#[test]
fn damaged_lines_of_tables_are_named_or_left_out() {
    let train: (&str, &[u8]) = ("train.tsv", b"text\tlabel\ngood\ta\n\nbad\nbad\tb\tc\nbad\tb\n");
    let test: (&str, &[u8]) = (
        "test.jsonl",
        b"{\"text\": \"x\", \"label\": \"a\"}\n{\n{\"text\": \"x\", \"label\": \"z\"}\n",
    );
    let error = own(&[train, test], &TextColumns::default(), false).unwrap_err().to_string();
    for part in [
        "4 damaged lines: ",
        "train.tsv:4: expected 2 columns, found 1; ",
        "train.tsv:5: expected 2 columns, found 3; ",
        "test.jsonl:2: expected a JSON object, found \"{\" (",
        "test.jsonl:3: expected a label that training texts have, found \"z\"",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let found = own(&[train, test], &TextColumns::default(), true).unwrap();
    assert_eq!((found.train.targets.len(), found.test.targets.len()), (2, 1));
    let remark = "left out 4 damaged lines: train.tsv:4, train.tsv:5, test.jsonl:2 and 1 more";
    assert!(found.remarks.iter().any(|line| line == remark), "{:?}", found.remarks);
}

/// What the training part says with an error, and what is left of it without the damaged lines: how
/// many texts, and the remark about those lines.
fn damaged(name: &str, train: &str) -> (String, usize, String) {
    let test: (&str, &[u8]) = ("test.tsv", b"text\tlabel\nx\ta\n");
    let files = [(name, train.as_bytes()), test];
    let error = own(&files, &TextColumns::default(), false).unwrap_err().to_string();
    let found = own(&files, &TextColumns::default(), true).unwrap();
    let remark = found.remarks.into_iter().find(|line| line.contains("damaged"));
    (error, found.train.texts.len(), remark.unwrap_or_default())
}

#[test]
fn text_behind_a_closing_quotation_mark_is_damaged() {
    for separator in [",", ";"] {
        let lines = [
            "text,label",
            "one,a",
            "\"two said,b",
            "three,a",
            "he said \"no\" yes,b",
            "5\" film \"x\",a",
            "\"a \"\"b\"\", c\nd\",b",
            "\"quoted\" film,a",
        ];
        for end in ["\n", "\r\n"] {
            let train = lines.join(end).replace(',', separator) + end;
            let (error, left, remark) = damaged("train.csv", &train);
            let name = if separator == "," { "a comma" } else { "a semicolon" };
            for part in [
                "4 damaged lines: ".to_owned(),
                format!("train.csv:3-5: expected {name} or the end of the line after a closing"),
                "' in line 5, after a text that line 3 opens (a quotation mark within".to_owned(),
                format!("train.csv:9: expected {name} or"),
                format!("found \" film{separator}a\" (a"),
            ] {
                assert!(error.contains(&part), "{part} in {error}");
            }
            assert_eq!(left, 3, "{train}");
            assert_eq!(remark, "left out 4 damaged lines: train.csv:3-5, train.csv:9");
        }
    }
    let head = own(&[("train.csv", b"\"text\"s,label\nx,a\n")], &TextColumns::default(), true);
    let error = head.unwrap_err().to_string();
    assert!(error.contains("train.csv:1: expected a comma"), "{error}");
}

#[test]
fn a_quotation_mark_that_is_never_closed_loses_the_lines_below() {
    let train = "text,label\none,a\ntwo,b\n\"three,a\nfour,b\n\nfive \"\"x,a\n";
    let (error, left, remark) = damaged("train.csv", train);
    let expected = "train.csv:4-7: expected a closing quotation mark, found none: the quotation \
                    mark in line 4 is never closed; --skip-damaged";
    assert!(error.starts_with("4 damaged lines: ") && error.contains(expected), "{error}");
    assert_eq!((left, &*remark), (2, "left out 4 damaged lines: train.csv:4-7"));
    let (error, ..) = damaged("train.csv", "text,label\none,a\n\"x\ny\",\"b");
    assert!(error.contains("train.csv:3-4: ") && error.contains("in line 4 is never"), "{error}");

    // Nothing is left to learn from.
    let files: [(&str, &[u8]); 2] =
        [("train.csv", b"text,label\n\"x,a\n"), ("test.csv", b"text,label\nx,a\n")];
    let error = own(&files, &TextColumns::default(), false).unwrap_err().to_string();
    assert!(error.contains("the quotation mark in line 2 is never closed"), "{error}");
    let error = own(&files, &TextColumns::default(), true).unwrap_err().to_string();
    assert!(error.contains("at least one training text that is not damaged"), "{error}");
}

#[test]
fn missing_labels_are_damaged_lines_like_others() {
    let rows = "text\tlabel\nx\ta\nno\t\nx\ta\tb\nno\t \nx\tb\n";
    let (error, left, remark) = damaged("train.tsv", rows);
    assert!(error.starts_with("3 damaged lines: "), "{error}");
    assert!(error.contains("train.tsv:3: expected a label, found none; "), "{error}");
    assert_eq!(left, 2);
    assert_eq!(remark, "left out 3 damaged lines: train.tsv:3, train.tsv:4, train.tsv:5");

    let lines = "{\"text\": \"x\", \"label\": \"a\"}\n{\"text\": \"no\"}\n\
                 {\"text\": \"no\", \"label\": null}\n{\"text\": null, \"label\": \"a\"}\n";
    let (error, left, remark) = damaged("train.jsonl", lines);
    assert!(error.contains("found \"text (no text), label\""), "{error}");
    assert_eq!(left, 1);
    assert_eq!(remark, "left out 3 damaged lines: train.jsonl:2, train.jsonl:3, train.jsonl:4");

    let rows: &[u8] = b"sentence1\tsentence2\tscore\na\tb\t2.5\na\tb\t\n";
    let files = folder(&[("train.tsv", rows), ("dev.tsv", rows)]);
    let error = GlueTask::Stsb.corpus(files.path(), false).unwrap_err().to_string();
    assert!(error.starts_with("2 damaged lines: "), "{error}");
    let found = GlueTask::Stsb.corpus(files.path(), true).unwrap();
    assert_eq!((found.train.texts.len(), found.test.texts.len()), (1, 1));
}

/// Columns of texts and labels.
fn columns(text: &str, label: &str) -> TextColumns {
    TextColumns { text: Some(text.to_owned()), pair: None, label: Some(label.to_owned()) }
}

/// What is said where both parts are the same table.
fn both(ending: &str, table: &str, columns: &TextColumns) -> Result<TextCorpus, String> {
    let names = ["train", "test"].map(|name| format!("{name}.{ending}"));
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (&**name, table.as_bytes())).collect();
    own(&files, columns, false).map_err(|error| error.to_string())
}

#[test]
fn columns_are_by_number_by_name_or_both() {
    let named = "text\tlabel\ngood\ta\nbad\tb\nfine\ta\nbad\tb\n";
    for (text, label) in [("text", "2"), ("1", "label"), ("TEXT", "label")] {
        let found = both("tsv", named, &columns(text, label)).unwrap();
        assert_eq!((found.train.texts.len(), found.classes.len()), (4, 2), "{text} {label}");
        assert_eq!(found.columns, columns("text", "label"));
        assert_eq!(found.odd, [""; 0]);
    }
    let found = both("tsv", named, &columns("1", "2")).unwrap();
    let odd = "line 1 of train.tsv is read as a text and looks like the names of columns, \
               \"text, label\": choose columns by these names, or remove the line";
    assert_eq!((found.train.texts.len(), &*found.odd[0]), (5, odd));
    // Names that are not usual ones are known by a label that is there once.
    let unusual = named.replace("text\tlabel", "was\tist");
    assert_eq!(both("tsv", &unusual, &columns("1", "2")).unwrap().odd.len(), 2);
    let unnamed = "good\ta\nbad\tb\nfine\ta\nbad\tb\n";
    assert_eq!(both("tsv", unnamed, &columns("1", "2")).unwrap().odd, [""; 0]);
    // Labels, and texts, that are numbers of columns name none.
    let numbers = "good\t2\n2\t1\nfine\t2\n1\t1\n";
    let found = both("tsv", numbers, &columns("1", "2")).unwrap();
    assert_eq!((found.train.texts.len(), &*found.classes), (4, &["1", "2"].map(str::to_owned)[..]));
    assert_eq!((found.columns, &*found.odd), (columns("1", "2"), &[][..]));
    let swapped = "2\tgood\n1\tbad\n2\tfine\n1\tbad\n";
    assert_eq!(both("tsv", swapped, &columns("2", "1")).unwrap().train.texts[0], "good".into());
    // In a line of names a number may be a name.
    let counted = "0\tlabel\t1\ngood\ta\tx\nbad\tb\ty\n";
    let found = both("tsv", counted, &columns("1", "label")).unwrap();
    assert_eq!(found.train.texts[0], "x".into());

    for (given, expected) in [
        (
            columns("2", "2"),
            "label_column must be another column than that of the texts, found \"2\" for both",
        ),
        (columns("Text", "text"), "found \"Text\" for both"),
        (columns("1", "text"), "train.tsv:1: expected a column for texts and another for labels"),
        (columns("1", "9"), "train.tsv:1: expected at least 9 columns, found 2"),
        (
            columns("1", "stars"),
            "expected columns named 1 and \"stars\", found \"text, label\": choose columns with \
             --text-column and --label-column",
        ),
    ] {
        let error = both("tsv", named, &given).unwrap_err();
        assert!(error.contains(expected), "{expected} in {error}");
    }
    let error = both("tsv", unnamed, &TextColumns::default()).unwrap_err();
    assert!(error.contains("by number where the first line has no names"), "{error}");
}

#[test]
fn names_that_are_there_twice_are_refused() {
    let labels = "text\tlabel\tlabel\ngood\ta\tc\nbad\tb\tc\n";
    let error = both("tsv", labels, &TextColumns::default()).unwrap_err();
    let expected = "train.tsv:1: expected one column named \"label\", found two, columns 2 and 3: \
                    choose one by its number, such as --label-column 2";
    assert!(error.ends_with(expected), "{error}");
    assert_eq!(both("tsv", labels, &columns("text", "3")).unwrap().classes, ["c"]);
    let error = both("csv", "text,Text,label\nx,y,a\n", &TextColumns::default()).unwrap_err();
    assert!(error.contains("such as --text-column 1"), "{error}");

    let object = "{\"text\": \"x\", \"text\": \"y\", \"label\": \"a\"}";
    let other = "{\"id\": 1, \"id\": 2, \"text\": \"x\", \"label\": \"a\"}";
    for table in [format!("{object}\n{other}\n"), format!("[{object}, {other}]")] {
        let error = both("json", &table, &TextColumns::default()).unwrap_err();
        let expected = "train.json:1: expected each key once, found \"text\" more than once; ";
        assert!(error.starts_with("2 damaged lines") && error.contains(expected), "{error}");
    }
}

#[test]
fn messages_show_what_stands_there_and_what_to_do() {
    let utf16: Vec<u8> = "text\tlabel\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes, expected) in [
        (
            "train.tsv",
            &b"text\tlabel\ngr\xe9at\ta\n"[..],
            "train.tsv:2: expected text in UTF-8, found the byte 0xe9: if it is Latin-1, convert \
             it, such as with `iconv -f LATIN1 -t UTF-8 /",
        ),
        ("train.tsv", &[b"\xff\xfe", &utf16[..]].concat(), "found UTF-16: convert it, such as"),
        (
            "train.csv",
            b"text\tlabel\ngood\ta\n",
            "train.csv:1: expected columns separated by commas, found tabs: the name of a file of \
             tabs ends in .tsv",
        ),
        (
            "train.jsonl",
            b"{\"text\": \"x\", \"label\": 1}\n{\"text\":\t\"b\"\n",
            "train.jsonl:2: expected a JSON object, found '{\"text\": \"b\"' (EOF while parsing an \
             object at column 12)",
        ),
    ] {
        let files: [(&str, &[u8]); 2] = [(name, bytes), ("test.tsv", b"text\tlabel\nx\t1\n")];
        let error = own(&files, &TextColumns::default(), false).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected} in {error}");
    }
}

#[test]
fn texts_that_are_cut_are_counted() {
    let long = "the dogs run the film . ".repeat(4);
    let rows = format!("text\tlabel\n{long}\ta\nbad\tb\n{long}\tb\n");
    let found = both("tsv", &rows, &TextColumns::default()).unwrap();
    let splits = found.tokenised(&tokenizer(16)).unwrap();
    let remarks = ["training", "test"]
        .map(|part| format!("2 of 3 {part} texts are cut to 16 tokens (text.max_length)"));
    assert!(splits.remarks.ends_with(&remarks), "{:?}", splits.remarks);
    assert_eq!(splits.train.lengths().iter().max(), Some(&16));
    let pair = format!("text\ttext2\tlabel\ngood\t{long}\ta\ngood\tbad\tb\n");
    let splits = both("tsv", &pair, &TextColumns::default()).unwrap().tokenised(&tokenizer(16));
    let one = "1 of 2 test texts is cut to 16 tokens (text.max_length)";
    assert!(splits.unwrap().remarks.iter().any(|remark| remark == one));
}

#[test]
fn mrpc_has_pairs_and_its_quotation_marks_are_characters() {
    let header = "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n";
    let train = format!("{header}1\t7\t8\t\"the man is bad.\tit was \"bad\"\r\n0\t1\t2\ta\tb\r\n");
    let test = format!("{header}0\t1\t2\tfood\t\"bread\"\r\n");
    let files: [(&str, &[u8]); 2] = [
        ("msr_paraphrase_train.txt", train.as_bytes()),
        ("msr_paraphrase_test.txt", test.as_bytes()),
    ];
    let splits = load(GlueTask::Mrpc, &files).unwrap();
    assert_eq!(splits.train.labels(), [1, 0]);
    let expected = ids(("\"the man is bad.", "it was \"bad\""));
    assert_eq!(words(&splits.train, 0), expected);
    assert_eq!(expected.iter().filter(|&&id| id == 17).count(), 3); // quotation marks
    let (ids, types) = splits.test.tokens(0);
    assert_eq!((ids.len(), types), (7, &[0, 0, 0, 1, 1, 1, 1][..]));
}

#[test]
fn a_test_file_without_texts_gives_way_to_the_development_file() {
    let header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
    let rows = format!("{header}1\t7\t8\tthe man\ta man\n0\t1\t2\ta\t\"b\n");
    let test = "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
    let files: [(&str, &[u8]); 3] = [
        ("train.tsv", rows.as_bytes()),
        ("dev.tsv", rows.as_bytes()),
        ("test.tsv", test.as_bytes()),
    ];
    let splits = load(GlueTask::Mrpc, &files).unwrap();
    assert_eq!(splits.test.labels(), [1, 0]);
    let remark = "test.tsv holds no texts: dev.tsv is the test part";
    assert!(splits.remarks.iter().any(|line| line == remark), "{:?}", splits.remarks);
    let error = load(GlueTask::Mrpc, &[files[0], files[2]]).unwrap_err().to_string();
    assert!(error.ends_with("test.tsv:1: expected sentences, found none"), "{error}");
}

#[test]
fn cola_has_two_files_to_measure_on_and_no_header() {
    let splits = load(
        GlueTask::Cola,
        &[
            (
                "in_domain_train.tsv",
                b"gj04\t1\t\tthe man sleep\nl-93\t0\t*\tman the \"is\" eating\n",
            ),
            ("in_domain_dev.tsv", b"gj04\t1\t\tit was\n"),
            ("out_of_domain_dev.tsv", b"clc95\t0\t*\twas it\nclc95\t1\t\ta dog"),
        ],
    )
    .unwrap();
    assert_eq!(splits.train.labels(), [1, 0]);
    assert_eq!(splits.test.labels(), [1, 0, 1]);
    assert_eq!(words(&splits.test, 1), ids("was it"));
    let glue: [(&str, &[u8]); 2] =
        [("train.tsv", b"gj04\t1\t\tthe man\n"), ("dev.tsv", b"gj04\t0\t*\tman\n")];
    assert_eq!(load(GlueTask::Cola, &glue).unwrap().test.labels(), [0]);
}

#[test]
fn what_is_wrong_with_a_file_is_reported_with_its_line() {
    for (train, line, expected) in [
        (
            &b"a\t1\n"[..],
            1,
            "expected columns named \"sentence\" (or \"text\") and \"label\", found \"a, 1\"",
        ),
        (b"sentence\tlabel\n", 1, "expected sentences, found none"),
        (b"", 1, "expected sentences, found none"),
        (b"sentence\tlabel\ngood\t1\nbad\n", 3, "expected 2 columns, found 1"),
        (b"sentence\tlabel\ngood\t1\t1\n", 2, "expected 2 columns, found 3"),
        (b"sentence\tlabel\ngood\t1\n\nbad\n", 4, "expected 2 columns, found 1"),
        (
            b"sentence\tlabel\ngood\t2\n",
            2,
            "expected a label 0 (negative) or 1 (positive), found \"2\"",
        ),
        (
            b"sentence\tlabel\ngood\t1\nb\xffd\t0\n",
            3,
            "expected text in UTF-8, found the byte 0xff: ",
        ),
    ] {
        let good: &[u8] = b"sentence\tlabel\ngood\t1\n";
        let files = [("train.tsv", train), ("dev.tsv", good), ("test.tsv", good)];
        let error = load(GlueTask::Sst2, &files).unwrap_err();
        let place = format!("train.tsv:{line}: {expected}");
        assert!(error.to_string().contains(&place), "{error}");
        assert!(error.is_input());
    }
}

#[test]
fn files_and_folders_that_are_not_there_are_named() {
    for task in GlueTask::ALL {
        let error = load(task, &[]).unwrap_err();
        assert!(matches!(error, Error::Missing { kind: "file", .. }), "{error}");
        let error = task.load(Path::new("/nowhere"), &tokenizer(16)).unwrap_err();
        assert!(matches!(error, Error::Missing { kind: "folder", .. }), "{error}");
        assert_eq!(task.name().parse::<GlueTask>().unwrap(), task);
    }
    assert!(matches!("sst".parse::<GlueTask>(), Err(Error::Unknown { .. })));
    let metrics = GlueTask::ALL.map(GlueTask::metric);
    let [accuracy, f1, matthews] = [Metric::Accuracy, Metric::F1, Metric::Matthews].map(Some);
    assert_eq!(metrics[..4], [accuracy, f1, matthews, f1]);
    assert_eq!(metrics[8], None, "numbers are no classes");
}

#[test]
fn a_length_that_leaves_no_room_or_has_no_positions_is_refused() {
    for length in [0, 4, 21] {
        let error = TextTokenizer::from_folder(&tiny(), length).unwrap_err();
        assert!(matches!(error, Error::Setting { field: "text.max_length", .. }), "{error}");
    }
    assert_eq!(tokenizer(5).max_length(), 5);
    assert_eq!(tokenizer(5).encode(&["a man is eating food".into()]).unwrap()[0].ids.len(), 5);
}

fn set() -> TextSet {
    let texts = ["a man", "good", "the dogs run the film", "it was bad"].map(Text::from);
    let classes = ["no", "yes"].map(str::to_owned).to_vec();
    TextSet::new(&texts, vec![0, 1, 1, 0], classes, &tokenizer(16)).unwrap()
}

#[test]
fn a_batch_is_filled_up_to_its_longest_text() {
    let set = set();
    let batch = set.batch(&[3, 1]);
    let (long, short) = (words(&set, 3), words(&set, 1));
    assert_eq!(
        (batch.width, &batch.lengths[..], batch.targets.labels()),
        (5, &[5, 3][..], &[0, 1][..])
    );
    assert_eq!(batch.ids, [&long[..], &short[..], &[0, 0]].concat());
    assert_eq!(batch.indices, [3, 1]);
    let tensors = batch.to_device(&Device::flex());
    let padding: Vec<bool> = tensors.input.padding.into_data().iter::<bool>().collect();
    assert_eq!(padding, [[false; 5], [false, false, false, true, true]].concat());
}

#[test]
fn pieces_and_selections_of_a_batch_are_its_texts() {
    let device = Device::flex();
    let batch = set().batch(&[3, 0, 2]).to_device(&device);
    let rows: Vec<Vec<i64>> = batch
        .input
        .ids
        .to_data()
        .iter::<i64>()
        .collect::<Vec<_>>()
        .chunks(8)
        .map(<[i64]>::to_vec)
        .collect();
    let width = batch.input.ids.dims()[1];
    assert_eq!(width, 8);
    let piece = batch.piece(1..3);
    assert_eq!(piece.indices, [0, 2]);
    let found: Vec<i64> = piece.input.ids.into_data().iter::<i64>().collect();
    assert_eq!(found, rows[1..].concat());
    let (input, targets) = batch.select(&Samples::Some { positions: vec![2, 0], of: 3 });
    let labels = targets.labels().unwrap();
    let found: Vec<i64> = input.ids.into_data().iter::<i64>().collect();
    assert_eq!(found, [&rows[2][..], &rows[0]].concat());
    assert_eq!(labels.into_data().iter::<i64>().collect::<Vec<_>>(), [1, 0]);
    let padding: Vec<bool> = input.padding.into_data().iter::<bool>().collect();
    assert_eq!(padding.iter().filter(|&&p| p).count(), 3);
    assert_eq!(batch.select(&Samples::All).0.ids.dims(), [3, 8]);
}

#[test]
fn parts_of_a_set_have_its_texts_and_a_hash_of_their_own() {
    let set = set();
    let first = set.select(&[0, 1]).unwrap();
    assert_eq!((first.len(), first.labels(), first.lengths()), (2, &[0, 1][..], &[4, 3][..]));
    let turned = set.select(&[1, 0]).unwrap();
    assert_eq!(turned.tokens(0), set.tokens(1));
    assert_eq!(turned.select(&[1, 0]).unwrap(), first);
    assert_ne!(turned.sha256(), first.sha256());
    assert_ne!(set.sha256(), first.sha256());
    assert_eq!(set.sha256(), self::set().sha256());
    for error in [set.select(&[]), set.select(&[4])] {
        assert!(matches!(error, Err(Error::Setting { .. })));
    }
}

#[test]
fn a_grouped_order_is_a_permutation_with_less_to_fill_up() {
    let texts: Vec<Text> =
        (0..1003).map(|i| Text::from("food ".repeat(1 + i * 7 % 12).as_str())).collect();
    let labels = vec![0; texts.len()];
    let set = TextSet::new(&texts, labels, vec!["any".to_owned()], &tokenizer(16)).unwrap();
    let order = set.grouped_order(1, 2, 8);
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..1003).collect::<Vec<_>>());
    let tokens =
        |order: &[usize]| order.chunks(8).map(|batch| set.batch(batch).ids.len()).sum::<usize>();
    let own: usize = set.lengths().iter().map(|&length| usize::from(length)).sum();
    let (grouped, plain) = (tokens(&order), tokens(&epoch_order(1, 2, 1003)));
    assert!(grouped < own + own / 20 && plain > own + own / 3, "{own} {grouped} {plain}");
    assert_eq!(order, set.grouped_order(1, 2, 8));
    assert!(order != set.grouped_order(1, 3, 8) && order != set.grouped_order(2, 2, 8));
    // Short and long batches come in turns, not one after the other.
    let widths: Vec<usize> = order.chunks(8).map(|batch| set.batch(batch).width).collect();
    assert!(!widths.is_sorted() && widths[..10].iter().max() > widths[..10].iter().min());
}

#[test]
fn a_set_by_length_has_the_same_texts_the_shortest_first() {
    let sorted = set().by_length();
    assert!(sorted.lengths().is_sorted());
    let all = |set: &TextSet| {
        let one = |i| (set.tokens(i).0.to_vec(), set.labels()[i]);
        let mut all: Vec<_> = (0..set.len()).map(one).collect();
        all.sort();
        all
    };
    assert_eq!(all(&sorted), all(&set()));
    assert_ne!(sorted, set());
}

#[test]
fn texts_labels_and_classes_that_do_not_fit_are_refused() {
    let (tokenizer, text) = (tokenizer(16), Text::from("a"));
    let classes = || vec!["one".to_owned()];
    for set in [
        TextSet::new(&[], vec![], classes(), &tokenizer),
        TextSet::new(std::slice::from_ref(&text), vec![0, 0], classes(), &tokenizer),
        TextSet::new(&[text], vec![1], classes(), &tokenizer),
    ] {
        assert!(matches!(set, Err(Error::Setting { .. })));
    }
    let numbers = Targets::Numbers(vec![f32::NAN]);
    let error = TextSet::with_targets(&[Text::from("a")], numbers, &tokenizer).unwrap_err();
    assert_eq!(error.to_string(), "numbers must be finite, found NaN at text 0");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_a_set_or_an_error(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\t'), Just(b'\n'), Just(b'1'), Just(b'"'), Just(b','), Just(b'{')], 0..80),
        headed in any::<bool>(),
    ) {
        let bytes = if headed { [&b"sentence\tlabel\n"[..], &bytes].concat() } else { bytes };
        for task in [GlueTask::Sst2, GlueTask::Cola, GlueTask::Stsb] {
            let files: Vec<(&str, &[u8])> = ["train.tsv", "dev.tsv", "test.tsv"].map(|name| (name, &bytes[..])).to_vec();
            let _ = load(task, &files);
        }
        for names in [["train.csv", "test.csv"], ["train.jsonl", "test.jsonl"]] {
            let _ = own(&names.map(|name| (name, &bytes[..])), &TextColumns::default(), true);
        }
    }
}

/// The published files, where there are any: `LOWLAND_GLUE` is a folder with SST-2, MRPC and `CoLA`
/// in folders of these names.
#[test]
fn the_published_files_have_the_published_counts() {
    let Some(glue) = std::env::var_os("LOWLAND_GLUE").map(PathBuf::from) else {
        eprintln!("skipped: LOWLAND_GLUE names no folder with SST-2, MRPC and CoLA");
        return;
    };
    for (task, name, train, test, positive) in [
        (GlueTask::Sst2, "SST-2", 67349, 872, [37569, 444]),
        (GlueTask::Mrpc, "MRPC", 4076, 1725, [2753, 1147]),
        (GlueTask::Cola, "CoLA", 8551, 1043, [6023, 719]),
    ] {
        let splits = task.load(&glue.join(name), &tokenizer(16)).unwrap();
        let learned: Vec<_> =
            [Some(splits.train), splits.validation].into_iter().flatten().collect();
        let count: usize = learned.iter().map(TextSet::len).sum();
        assert_eq!((count, splits.test.len()), (train, test), "{task}");
        let positives = learned.iter().map(|set| set.class_counts()[1]).sum();
        assert_eq!([positives, splits.test.class_counts()[1]], positive, "{task}");
    }
}
