//! The data sets that are known: addresses, lengths and checksums.
//!
//! The sums of CIFAR's archives, of MNIST and of Fashion-MNIST are those that TensorFlow Datasets
//! states for the same files (`tensorflow_datasets/url_checksums`). For the CIFAR archives and for
//! Fashion-MNIST they belong to the files whose MD5 the publishers' own pages state.

use crate::{Contents, DataSet, Member, RemoteFile};

/// CIFAR-10 in its binary layout, from the University of Toronto.
pub const CIFAR10: DataSet<'static> = DataSet {
    name: "cifar10",
    page: "https://www.cs.toronto.edu/~kriz/cifar.html",
    addresses: &CIFAR_ADDRESSES,
    files: &[RemoteFile {
        name: "cifar-10-binary.tar.gz",
        length: 170_052_171,
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        contents: Contents::TarGz(&[
            Member { path: "cifar-10-batches-bin/data_batch_1.bin", length: 30_730_000 },
            Member { path: "cifar-10-batches-bin/data_batch_2.bin", length: 30_730_000 },
            Member { path: "cifar-10-batches-bin/data_batch_3.bin", length: 30_730_000 },
            Member { path: "cifar-10-batches-bin/data_batch_4.bin", length: 30_730_000 },
            Member { path: "cifar-10-batches-bin/data_batch_5.bin", length: 30_730_000 },
            Member { path: "cifar-10-batches-bin/test_batch.bin", length: 30_730_000 },
        ]),
    }],
};

/// CIFAR-100 in its binary layout, from the University of Toronto.
pub const CIFAR100: DataSet<'static> = DataSet {
    name: "cifar100",
    page: "https://www.cs.toronto.edu/~kriz/cifar.html",
    addresses: &CIFAR_ADDRESSES,
    files: &[RemoteFile {
        name: "cifar-100-binary.tar.gz",
        length: 168_513_733,
        sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        contents: Contents::TarGz(&[
            Member { path: "cifar-100-binary/train.bin", length: 153_700_000 },
            Member { path: "cifar-100-binary/test.bin", length: 30_740_000 },
        ]),
    }],
};

/// The first one answers with a redirect to the second; both are the publisher's.
const CIFAR_ADDRESSES: [&str; 2] =
    ["https://www.cs.toronto.edu/~kriz", "https://cave.cs.toronto.edu/kriz"];

/// Fashion-MNIST, from Zalando. Its own address has no https; the second one is the publisher's
/// repository.
pub const FASHION_MNIST: DataSet<'static> = DataSet {
    name: "fashion-mnist",
    page: "https://github.com/zalandoresearch/fashion-mnist",
    addresses: &[
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    ],
    files: &[
        kept(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        kept(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        kept(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        kept(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ],
};

/// MNIST. Its authors' page gives the files no longer: the Common Visual Data Foundation hosts them
/// with their consent, and the second address is the one that PyTorch keeps.
pub const MNIST: DataSet<'static> = DataSet {
    name: "mnist",
    page: "https://github.com/cvdfoundation/mnist",
    addresses: &[
        "https://storage.googleapis.com/cvdf-datasets/mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
    ],
    files: &[
        kept(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        kept(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        kept(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        kept(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ],
};

/// All of them.
pub const ALL: [DataSet<'static>; 4] = [CIFAR10, CIFAR100, FASHION_MNIST, MNIST];

/// The data set of this name.
pub fn named(name: &str) -> Option<DataSet<'static>> {
    ALL.into_iter().find(|set| set.name == name)
}

const fn kept(name: &'static str, length: u64, sha256: &'static str) -> RemoteFile<'static> {
    RemoteFile { name, length, sha256, contents: Contents::Kept }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_entry_of_the_table_is_well_formed() {
        for set in ALL {
            assert_eq!(named(set.name).unwrap().name, set.name);
            assert!(set.page.starts_with("https://"));
            for address in set.addresses {
                let secure = address.starts_with("https://");
                // Its publisher has no other.
                assert!(secure || set.name == "fashion-mnist", "{address}");
                assert!(!address.ends_with('/'), "{address}");
            }
            for file in set.files {
                assert_eq!(hex::decode(file.sha256).unwrap().len(), 32, "{}", file.name);
                assert_eq!(file.sha256, file.sha256.to_lowercase());
            }
            let names: BTreeSet<_> = set.files.iter().map(|file| file.name).collect();
            assert_eq!(names.len(), set.files.len());
        }
        let sums: BTreeSet<_> =
            ALL.iter().flat_map(|set| set.files).map(|file| file.sha256).collect();
        assert_eq!(sums.len(), 10, "two files have the same sum");
    }

    /// 3,073 bytes an image in CIFAR-10, 3,074 in CIFAR-100.
    #[test]
    fn the_members_of_cifar_hold_60_000_images() {
        for (set, record) in [(CIFAR10, 3073), (CIFAR100, 3074)] {
            let Contents::TarGz(members) = set.files[0].contents else { panic!("an archive") };
            let bytes: u64 = members.iter().map(|member| member.length).sum();
            assert_eq!(bytes, 60_000 * record, "{}", set.name);
        }
    }
}
