//! The reader of image folders, with images that the tests write themselves. In one file, since all
//! cases share what writes the images.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use lowland_tasks::config::{DataConfig, TrainConfig};
use lowland_tasks::data::image_folder::{self, read_folder};
use lowland_tasks::data::{DataName, Decoding, FolderConfig, ImageShape};
use tempfile::TempDir;

/// An image of one colour.
fn plain(width: u32, height: u32, colour: [u8; 3]) -> DynamicImage {
    RgbImage::from_pixel(width, height, Rgb(colour)).into()
}

fn png(image: &DynamicImage) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

fn jpeg(image: &DynamicImage) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 95).encode_image(image).unwrap();
    file
}

/// Images brought to a size, or left as they are.
fn sized(image_size: impl Into<Option<usize>>) -> FolderConfig {
    FolderConfig { image_size: image_size.into(), ..FolderConfig::default() }
}

/// A folder that a test fills.
struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Two classes of 2x2 images, and one test image.
    fn small() -> Self {
        let fixture = Self::new();
        fixture.put("train/cat/a.png", png(&plain(2, 2, [1, 2, 3])));
        fixture.put("train/dog/a.png", png(&plain(2, 2, [4, 5, 6])));
        fixture.put("test/dog/a.png", png(&plain(2, 2, [7, 8, 9])));
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// The error, with paths as they are beneath the folder.
    fn error(&self, image_size: Option<usize>) -> String {
        let error = read_folder(self.0.path(), &sized(image_size)).unwrap_err().to_string();
        error.replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn classes_and_images_come_by_name_and_colour_by_colour() {
    let fixture = Fixture::new();
    let two =
        RgbImage::from_fn(2, 1, |x, _| if x == 0 { Rgb([10, 20, 30]) } else { Rgb([11, 21, 31]) });
    fixture.put("train/b/2.png", png(&two.into()));
    fixture.put("train/b/10.PNG", png(&plain(2, 1, [1, 2, 3])));
    let grey = GrayImage::from_fn(2, 1, |x, _| Luma([if x == 0 { 5 } else { 6 }]));
    fixture.put("train/a/grey.png", png(&grey.into()));
    let clear: DynamicImage = RgbaImage::from_pixel(2, 1, Rgba([7, 8, 9, 0])).into();
    fixture.put("train/c/clear.png", png(&clear));
    fixture.put("test/c/x.jpeg", jpeg(&plain(2, 1, [128; 3])));
    // These are no images, or are not to be seen.
    fixture.put("train/b/notes.txt", "x");
    fixture.put("train/b/.hidden.png", "x");
    fixture.put("train/.cache/x.png", "x");
    fixture.put("train/readme.md", "x");
    fixture.put("later/z/x.png", "x");
    let splits = read_folder(fixture.0.path(), &sized(None)).unwrap();
    let train = &splits.train;
    assert_eq!(train.classes(), ["a", "b", "c"]);
    assert_eq!(train.labels(), [0, 1, 1, 2]);
    assert_eq!(train.shape(), ImageShape { channels: 3, height: 1, width: 2 });
    assert_eq!(train.image(0), [5, 6, 5, 6, 5, 6], "grey in all three");
    assert_eq!(train.image(1), [1, 1, 2, 2, 3, 3], "10 is before 2, as names go");
    assert_eq!(train.image(2), [10, 11, 20, 21, 30, 31]);
    assert_eq!(train.image(3), [255; 6], "nothing of it is to be seen on white");
    assert_eq!((splits.test.labels(), splits.test.classes()), (&[2][..], train.classes()));
    assert_eq!(splits.test.image(0), [128; 6]);
    assert_eq!(splits.validation, None);
    assert_eq!(
        splits.remarks,
        [
            "left out 1 file (.md) not read as images: train/readme.md",
            "left out 1 file (.txt) not read as images: train/b/notes.txt",
            "left out 1 folder with no part in the layout: later",
            "left out 2 entries of archivers, viewers and editors: train/.cache, train/b/.hidden.png",
            "1 image has transparent pixels and was laid over white: train/c/clear.png",
        ]
    );
    let files = ["train/a/grey.png", "train/b/10.PNG", "train/b/2.png", "train/c/clear.png"];
    assert_eq!(
        (&splits.files.train[..], splits.files.test.len()),
        (&files.map(str::to_owned)[..], 1)
    );
}

#[test]
fn transparent_pixels_are_mixed_with_white() {
    let pixels = [[200, 100, 0, 255], [200, 100, 0, 128], [200, 100, 0, 0], [9, 9, 9, 254]];
    let seen = [[200, 100, 0], [227, 177, 127], [255; 3], [10; 3]];
    let eight = RgbaImage::from_fn(4, 1, |x, _| Rgba(pixels[x as usize]));
    let sixteen = DynamicImage::from(eight.clone()).into_rgba16();
    let expected: Vec<u8> =
        [0, 1, 2].iter().flat_map(|&c| seen.map(|pixel: [u8; 3]| pixel[c])).collect();
    for image in [DynamicImage::from(eight), DynamicImage::from(sixteen)] {
        let (_, found) = image_folder::parse(Path::new("x"), &png(&image), &sized(None)).unwrap();
        assert_eq!(found, expected);
    }
}

#[test]
#[cfg(unix)]
fn links_that_lead_back_or_nowhere_are_named_and_not_followed() {
    use std::os::unix::fs::symlink;
    let fixture = Fixture::small();
    symlink("..", fixture.path("train/cat/up")).unwrap();
    symlink("../dog", fixture.path("train/cat/there")).unwrap();
    symlink("../cat", fixture.path("train/dog/back")).unwrap();
    symlink("nothing.png", fixture.path("train/dog/broken.png")).unwrap();
    symlink("a.png", fixture.path("train/dog/b.png")).unwrap();
    fs::create_dir(fixture.path("train/cat/dir.png")).unwrap();
    let splits = read_folder(fixture.0.path(), &sized(None)).unwrap();
    // A link to another folder or to an image is as good as these.
    let files = [
        "train/cat/a.png",
        "train/cat/there/a.png",
        "train/cat/there/b.png",
        "train/dog/a.png",
        "train/dog/b.png",
        "train/dog/back/a.png",
    ];
    assert_eq!(splits.files.train, files);
    assert_eq!(
        splits.remarks,
        [
            "left out 2 empty folders beside images: train/cat/dir.png, train/dog/back/dir.png",
            "left out 2 links to a file or folder that does not exist: \
             train/cat/there/broken.png, train/dog/broken.png",
            "left out 4 links back to a folder above, not followed: train/cat/up, \
             train/cat/there/back, train/dog/back/there and 1 more",
        ]
    );
}

#[test]
#[cfg(target_os = "linux")]
fn names_that_are_no_unicode_are_shown_byte_by_byte() {
    use std::os::unix::ffi::OsStringExt;
    let fixture = Fixture::small();
    let name = std::ffi::OsString::from_vec(b"caf\xe9".to_vec());
    fs::create_dir(fixture.path("train").join(name)).unwrap();
    assert_eq!(
        fixture.error(None),
        "train: expected folders with names in Unicode (UTF-8), found \"caf\\xe9\"; rename it"
    );
}

/// A grey TIFF file of one pixel of 32 bits, which are a fraction.
fn float_tiff() -> Vec<u8> {
    let tags: [[u32; 4]; 9] = [
        [256, 3, 1, 1],
        [257, 3, 1, 1],
        [258, 3, 1, 32],
        [259, 3, 1, 1],
        [262, 3, 1, 1],
        [273, 4, 1, 122],
        [277, 3, 1, 1],
        [279, 4, 1, 4],
        [339, 3, 1, 3],
    ];
    let mut file = b"II*\0\x08\0\0\0\x09\0".to_vec();
    for [tag, kind, count, value] in tags {
        for short in [tag, kind] {
            file.extend(u16::try_from(short).unwrap().to_le_bytes());
        }
        file.extend([count, value].iter().flat_map(|long| long.to_le_bytes()));
    }
    file.extend([0; 4]);
    file.extend(1.0_f32.to_le_bytes());
    file
}

#[test]
fn what_decoders_refuse_is_said_in_words() {
    let refused = |file: &[u8]| {
        image_folder::parse(Path::new("x"), file, &sized(None)).unwrap_err().to_string()
    };
    let error = refused(&float_tiff());
    assert!(error.starts_with("x: expected whole numbers of at most 16 bits"), "{error}");
    // Sides of 2^31 - 1, with the checksum that belongs to them.
    let mut large = png(&plain(2, 2, [1; 3]));
    large[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&large[12..29]);
    large[29..33].copy_from_slice(&sum.to_be_bytes());
    let error = refused(&large);
    assert!(error.starts_with("x: expected at most 200 million pixels (--max-meg"), "{error}");
    for format in [ImageFormat::Bmp, ImageFormat::Png, ImageFormat::Gif, ImageFormat::Tiff] {
        let noise = RgbImage::from_fn(64, 64, |x, y| {
            Rgb([0, 1, 2].map(|c| u8::try_from((x * 31 + y * 17 + x * y * c) % 256).unwrap()))
        });
        let mut file = Cursor::new(Vec::new());
        DynamicImage::from(noise).write_to(&mut file, format).unwrap();
        let file = file.into_inner();
        let error = refused(&file[..file.len() / 2]);
        assert_eq!(error, "x: expected a whole image, found one that ends early", "{format:?}");
    }
}

#[test]
fn every_format_is_read_from_folders_within_a_class() {
    let fixture = Fixture::small();
    for (format, name) in [
        (ImageFormat::Bmp, "a.bmp"),
        (ImageFormat::WebP, "monday/a.WEBP"),
        (ImageFormat::Tiff, "monday/b.tif"),
        (ImageFormat::Gif, "monday/late/a.gif"),
        (ImageFormat::Tiff, "monday/late/b.TIFF"),
        (ImageFormat::Png, "no-ending"),
    ] {
        let mut file = Cursor::new(Vec::new());
        plain(2, 2, [9, 90, 200]).write_to(&mut file, format).unwrap();
        fixture.put(&format!("train/cat/{name}"), file.into_inner());
    }
    for name in ["train/cat/Thumbs.db", "train/__MACOSX/cat/x.png", "train/dog/Desktop.ini"] {
        fixture.put(name, "x");
    }
    fixture.put("train/cat/x.tga", "x");
    let splits = read_folder(fixture.0.path(), &sized(None)).unwrap();
    assert_eq!(splits.train.classes(), ["cat", "dog"]);
    assert_eq!(splits.train.class_counts(), [7, 1]);
    for index in [0, 2, 3, 4, 5, 6] {
        assert_eq!(splits.train.image(index), [9, 9, 9, 9, 90, 90, 90, 90, 200, 200, 200, 200]);
    }
    assert_eq!(
        splits.remarks,
        [
            "left out 1 file (.tga) not read as images: train/cat/x.tga",
            "left out 3 entries of archivers, viewers and editors: train/__MACOSX, \
             train/cat/Thumbs.db, train/dog/Desktop.ini",
        ]
    );
}

#[test]
fn a_validation_part_stands_beside_the_test_part() {
    for name in ["val", "valid", "validation", "dev", "Val"] {
        let fixture = Fixture::small();
        fixture.put(&format!("{name}/cat/v.png"), png(&plain(2, 2, [3; 3])));
        let splits = read_folder(fixture.0.path(), &sized(None)).unwrap();
        assert_eq!(splits.validation.unwrap().image(0), [3; 12]);
        assert_eq!((splits.test.len(), splits.remarks.len()), (1, 0));
    }
}

/// A JPEG file with an EXIF segment that says how it is to be turned.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff = [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", &[orientation, 0, 0][..]];
    let exif = [b"Exif\0\0", &tiff.concat()[..], &[0; 4]].concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn photos_are_turned_upright_by_default() {
    let left = RgbImage::from_fn(32, 16, |x, _| Rgb([if x < 16 { 250 } else { 5 }; 3]));
    let file = with_orientation(&jpeg(&left.into()), 6);
    let read = |upright| {
        let decoding = Decoding { upright, ..Decoding::default() };
        let config = FolderConfig { decoding, ..FolderConfig::default() };
        image_folder::parse(Path::new("x"), &file, &config).unwrap()
    };
    // 6 is a quarter turn clockwise: what was at the left is at the top.
    let (shape, pixels) = read(true);
    assert_eq!((shape.width, shape.height), (16, 32));
    assert!(
        pixels[..16].iter().all(|&p| p > 230) && pixels[31 * 16..32 * 16].iter().all(|&p| p < 25)
    );
    assert_eq!(read(false).0, ImageShape { channels: 3, height: 16, width: 32 });

    let fixture = Fixture::new();
    for name in ["train/a/1.jpg", "train/a/2.jpg", "test/a/1.jpg"] {
        fixture.put(name, &file);
    }
    let shape = read_folder(fixture.0.path(), &sized(None)).unwrap().train.shape();
    assert_eq!((shape.width, shape.height), (16, 32), "the shape of the first is upright too");
}

#[test]
fn large_plain_pictures_are_read_up_to_the_limit() {
    let scan = png(&GrayImage::from_pixel(3000, 2000, Luma([255])).into());
    assert!(scan.len() < 100_000);
    let parse = |max_megapixels| {
        let decoding = Decoding { max_megapixels, ..Decoding::default() };
        let config = FolderConfig { decoding, ..sized(4) };
        image_folder::parse(Path::new("x"), &scan, &config)
    };
    assert_eq!(parse(6).unwrap().1, [255; 48]);
    assert_eq!(
        parse(5).unwrap_err().to_string(),
        "x: expected at most 5 million pixels (--max-megapixels, max_megapixels in files, sets the \
         limit), found 3000x2000 pixels"
    );
    assert!(matches!(
        read_folder(
            Path::new("x"),
            &FolderConfig {
                decoding: Decoding { max_megapixels: 0, ..Decoding::default() },
                ..FolderConfig::default()
            }
        ),
        Err(lowland_tasks::Error::Setting { field: "max_megapixels", .. })
    ));
}

#[test]
fn damaged_files_are_named_together_or_left_out_and_counted() {
    let fixture = Fixture::small();
    for i in 0..7 {
        fixture.put(&format!("train/cat/bad{i}.jpg"), "no image");
    }
    fixture.put("test/dog/bad.png", "");
    let error = fixture.error(None);
    assert!(error.starts_with("8 damaged files: train/cat/bad0.jpg: expected an image"), "{error}");
    let end = "; and 3 more; --skip-damaged leaves them out";
    assert!(error.ends_with(end) && !error.contains("bad5"), "{error}");

    let skip = FolderConfig { skip_damaged: true, ..FolderConfig::default() };
    let splits = read_folder(fixture.0.path(), &skip).unwrap();
    assert_eq!((splits.train.labels(), splits.test.len()), (&[0, 1][..], 1));
    assert_eq!(splits.train.image(1), [4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6]);
    assert_eq!(
        splits.remarks,
        [
            "left out 8 damaged files: train/cat/bad0.jpg, train/cat/bad1.jpg, train/cat/bad2.jpg and 5 more"
        ]
    );
    fixture.put("train/dog/a.png", "");
    let error = read_folder(fixture.0.path(), &skip).unwrap_err().to_string();
    let end = "dog: expected at least one image that is not damaged, found none; replace the \
               damaged images, or take the folders of this class away";
    assert!(error.ends_with(end), "{error}");
}

#[test]
fn a_folder_named_val_is_as_good_as_test() {
    let fixture = Fixture::small();
    fs::rename(fixture.path("test"), fixture.path("val")).unwrap();
    let splits = DataName::ImageFolder.load(Some(fixture.0.path())).unwrap();
    assert_eq!(splits.test.image(0), [7, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9]);
}

/// Many, so that every thread has some.
#[test]
fn images_keep_their_order_over_threads() {
    let fixture = Fixture::small();
    for i in 0..150_u8 {
        fixture.put(&format!("train/cat/i{i:03}.png"), png(&plain(2, 2, [i, 0, 255 - i])));
    }
    let train = read_folder(fixture.0.path(), &sized(None)).unwrap().train;
    for i in 0..150_u8 {
        // The first one is a.png.
        let expected = [[i; 4], [0; 4], [255 - i; 4]].concat();
        assert_eq!(train.image(1 + usize::from(i)), expected);
    }
    assert_eq!(train.image(151), [4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6]);
}

fn tiny_imagenet() -> Fixture {
    let fixture = Fixture::new();
    for (class, colour) in [("n02", [2; 3]), ("n01", [1; 3])] {
        for number in 0..2 {
            let name = format!("train/{class}/images/{class}_{number}.JPEG");
            fixture.put(&name, jpeg(&plain(8, 8, colour)));
        }
        fixture.put(&format!("train/{class}/{class}_boxes.txt"), "x");
    }
    for (number, colour) in [(0, [100; 3]), (1, [101; 3]), (10, [110; 3])] {
        fixture.put(&format!("val/images/val_{number}.JPEG"), jpeg(&plain(8, 8, colour)));
    }
    let lines = "val_1.JPEG\tn02\t0\t32\t44\t62\nval_10.JPEG\tn01\t52\t55\t57\t59\nval_0.JPEG\tn02\t4\t0\t60\t55\n";
    fixture.put("val/val_annotations.txt", lines);
    fixture.put("test/images/test_0.JPEG", "without a label");
    fixture.put("wnids.txt", "n02\nn01\n");
    fixture
}

#[test]
fn tiny_imagenet_is_read_in_its_own_layout() {
    let splits = read_folder(tiny_imagenet().0.path(), &sized(None)).unwrap();
    assert_eq!(splits.train.classes(), ["n01", "n02"]);
    assert_eq!(splits.train.labels(), [0, 0, 1, 1]);
    assert_eq!(splits.train.image(0), [1; 192]);
    assert_eq!(splits.test.labels(), [1, 1, 0], "by name: val_0, val_1, val_10");
    assert_eq!(splits.test.image(2), [110; 192]);
}

#[test]
fn mistakes_in_annotations_are_reported_with_their_line() {
    let error = |lines: &str| {
        let fixture = tiny_imagenet();
        fixture.put("val/val_annotations.txt", lines);
        fixture.error(None)
    };
    let file = "val/val_annotations.txt: expected ";
    for (lines, expected) in [
        ("", "at least one line, found none"),
        ("val_0.JPEG n01\n", "a file name, a tab and a class in line 1, found \"val_0.JPEG n01\""),
        ("val_0.JPEG\tn01\nval_1.JPEG\tn03\n", "a class that is in train in line 2, found \"n03\""),
        ("../x.JPEG\tn01\n", "the name of a file in line 1, found \"../x.JPEG\""),
        (
            "val_0.JPEG\tn01\n\nval_0.JPEG\tn02\n",
            "each file once in line 3, found \"val_0.JPEG\" again",
        ),
    ] {
        assert_eq!(error(lines), format!("{file}{expected}"));
    }
    assert!(error("val_7.JPEG\tn01\n").starts_with("cannot read val/images/val_7.JPEG"));
    let fixture = tiny_imagenet();
    fixture.put("val/val_annotations.txt", [0xff]);
    assert_eq!(fixture.error(None), format!("{file}text, found other bytes"));
}

#[test]
fn images_of_several_sizes_need_an_image_size() {
    let fixture = Fixture::small();
    fixture.put("train/dog/b.png", png(&plain(4, 2, [0; 3])));
    assert_eq!(
        fixture.error(None),
        "train/dog/b.png: expected 2x2 pixels, as the first image has, or an image_size for all (--image-size), found 4x2"
    );
    let shape = read_folder(fixture.0.path(), &sized(Some(3))).unwrap().train.shape();
    assert_eq!(shape, ImageShape { channels: 3, height: 3, width: 3 });
    for size in [0, 4097] {
        let message = format!("image_size must be 1 to 4096, found {size}");
        assert_eq!(fixture.error(Some(size)), message);
    }
}

/// Channel red of an image that is brought to a size.
fn red(image: impl Into<DynamicImage>, size: usize) -> Vec<u8> {
    let (shape, pixels) =
        image_folder::parse(Path::new("x"), &png(&image.into()), &sized(size)).unwrap();
    assert_eq!((shape.height, shape.width), (size, size));
    pixels[..size * size].to_vec()
}

#[test]
fn the_middle_is_cut_out_and_shrinking_is_smooth() {
    let columns =
        |width, height| RgbImage::from_fn(width, height, |x, _| Rgb([u8::try_from(x).unwrap(); 3]));
    assert_eq!(red(columns(8, 2), 2), [3, 4, 3, 4], "columns 3 and 4 of 0 to 7");
    let rows = RgbImage::from_fn(2, 9, |_, y| Rgb([u8::try_from(y).unwrap(); 3]));
    assert_eq!(red(rows, 2), [3, 3, 4, 4]);
    assert_eq!(red(columns(5, 5), 5), columns(5, 5).pixels().map(|p| p.0[0]).collect::<Vec<_>>());

    // Every second pixel white: picking pixels would give black or white, smoothing gives grey.
    let board = RgbImage::from_fn(64, 64, |x, y| Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3]));
    let small = red(board, 8);
    assert!(small.iter().all(|&value| (118..=138).contains(&value)), "{small:?}");

    // Shrinking by two weighs neighbours by a triangle; a ramp stays a ramp away from its ends.
    let ramp = red(columns(16, 16), 8);
    let expected: Vec<u8> = (0..8).map(|x| 2 * x).collect();
    let near = ramp[..8].iter().zip(&expected).all(|(&a, &b)| a >= b && a - b <= 1);
    assert!(near, "{ramp:?}");
}

#[test]
fn what_is_missing_is_reported_in_one_line() {
    let fixture = Fixture::small();
    fs::remove_dir_all(fixture.path("test")).unwrap();
    assert_eq!(
        fixture.error(None),
        "test: expected a folder with a folder for each class, or the same as val, valid or dev, found no such folder"
    );
    fs::create_dir(fixture.path("test")).unwrap();
    let none = "test: expected at least one image in the folder of a class, found none";
    assert_eq!(fixture.error(None), none);
    fixture.put("test/cow/a.png", "x");
    let cow = "test/cow: expected the name of a class in the training part (cat, dog), found \"cow\"; \
               give it images in the training part, or take this folder away";
    assert_eq!(fixture.error(None), cow);
    fs::create_dir(fixture.path("train/cow")).unwrap();
    let none = "train/cow: expected at least one image, found none; add some, or take the folder away \
                if it is no class";
    assert_eq!(fixture.error(None), none);
    fs::remove_dir_all(fixture.path("train")).unwrap();
    assert_eq!(
        fixture.error(None),
        "train: expected a folder with a folder for each class, found no such folder"
    );
    fs::create_dir(fixture.path("train")).unwrap();
    assert_eq!(
        fixture.error(None),
        "train: expected between 1 and 65536 folders, one for each class, found 0"
    );
    let error = DataName::ImageFolder.load(None).unwrap_err().to_string();
    assert!(error.starts_with("data set image-folder is read from a folder and none was given"));
}

#[test]
fn damaged_images_are_named_and_the_first_one_first() {
    let noise = RgbImage::from_fn(32, 32, |x, y| {
        Rgb([0_u32, 7, 13].map(|k| u8::try_from((x * 31 + y * 17 + x * y * k) % 256).unwrap()))
    });
    let (png, jpeg) = (png(&noise.clone().into()), jpeg(&noise.into()));
    let mut flipped = png.clone();
    flipped[png.len() / 2] ^= 4;
    for (file, wanted) in [
        (vec![], "an image (JPEG, PNG, WebP, BMP, GIF, TIFF), found 0 bytes of something else"),
        (b"qoif and more".to_vec(), "an image (JPEG, PNG, WebP, BMP, GIF, TIFF), found Qoi"),
        (b"MM\0*and more".to_vec(), "a whole image, found one that ends early"),
        (b"GIF89a".to_vec(), "a whole image, found one that ends early"),
        (png[..png.len() / 2].to_vec(), "a whole image, found one that ends early"),
        (flipped, "a whole image, found a damaged one ("),
        (jpeg[..jpeg.len() / 2].to_vec(), "a whole image, found one that ends early"),
        (jpeg[..jpeg.len() - 2].to_vec(), "a whole image, found one that ends early"),
        (jpeg[..30].to_vec(), "a whole image, found "),
    ] {
        let fixture = Fixture::small();
        fixture.put("train/dog/b.jpg", &file);
        fixture.put("train/dog/c.jpg", "x");
        let error = fixture.error(Some(8));
        let wanted = format!("2 damaged files: train/dog/b.jpg: expected {wanted}");
        assert!(error.starts_with(&wanted), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
    // What a file is called does not decide what it is.
    let fixture = Fixture::small();
    fixture.put("train/dog/b.jpg", &png);
    fixture.put("train/dog/c.png", &jpeg);
    read_folder(fixture.0.path(), &sized(Some(8))).unwrap();
}

#[test]
fn an_image_size_has_no_place_with_other_data() {
    let error = DataName::Cifar10.load_with(Some(Path::new("x")), &sized(64)).unwrap_err();
    let message =
        "image_size must be left out unless the data is an image-folder, found 64 with cifar10";
    assert_eq!(error.to_string(), message);
    let config = |name, image_size| {
        let data = DataConfig { name, image_size, ..DataConfig::default() };
        TrainConfig { data, ..TrainConfig::default() }.check().map_err(|error| error.to_string())
    };
    assert_eq!(config(DataName::Cifar10, Some(64)), Err(message.to_owned()));
    let range = "image_size must be 1 to 4096, found 5000".to_owned();
    assert_eq!(config(DataName::ImageFolder, Some(5000)), Err(range));
    assert_eq!(config(DataName::ImageFolder, Some(64)), Ok(()));
}
