//! The protocol buffers of TensorBoard that the events of this crate are made of, each as far as it
//! is needed.
//!
//! The crates that write such files need a compiler of protocol buffers to build, or write far more
//! than scalars and hyperparameters.

use std::collections::BTreeMap;

use prost::{Enumeration, Message, Oneof};

/// `Event` of `event.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Event {
    #[prost(double, tag = "1")]
    pub(crate) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(crate) step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    pub(crate) what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

/// `Summary` of `summary.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(crate) value: Vec<SummaryValue>,
}

/// `Summary.Value` of `summary.proto`; a proto3 `oneof` member is written even where it is 0.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SummaryValue {
    #[prost(string, tag = "1")]
    pub(crate) tag: String,
    #[prost(message, optional, tag = "9")]
    pub(crate) metadata: Option<SummaryMetadata>,
    #[prost(oneof = "Content", tags = "2, 8")]
    pub(crate) content: Option<Content>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Content {
    #[prost(float, tag = "2")]
    SimpleValue(f32),
    #[prost(message, tag = "8")]
    Tensor(TensorProto),
}

/// `SummaryMetadata` of `summary.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SummaryMetadata {
    #[prost(message, optional, tag = "1")]
    pub(crate) plugin_data: Option<PluginData>,
    #[prost(enumeration = "DataClass", tag = "4")]
    pub(crate) data_class: i32,
}

/// `SummaryMetadata.PluginData` of `summary.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PluginData {
    #[prost(string, tag = "1")]
    pub(crate) plugin_name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) content: Vec<u8>,
}

/// `DataClass` of `summary.proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum DataClass {
    Unknown = 0,
    Scalar = 1,
    Tensor = 2,
}

/// `TensorProto` of `tensor.proto`, without values.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorProto {
    #[prost(int32, tag = "1")]
    pub(crate) dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) tensor_shape: Option<TensorShape>,
}

/// `TensorShapeProto` of `tensor_shape.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    pub(crate) dim: Vec<Dimension>,
}

/// `TensorShapeProto.Dim` of `tensor_shape.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dimension {
    #[prost(int64, tag = "1")]
    pub(crate) size: i64,
}

/// `HParamsPluginData` of `plugins/hparams/plugin_data.proto`. Its version, field 1, is 0.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HParamsPluginData {
    #[prost(oneof = "HParamsData", tags = "2, 3, 4")]
    pub(crate) data: Option<HParamsData>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum HParamsData {
    #[prost(message, tag = "2")]
    Experiment(ExperimentInfo),
    #[prost(message, tag = "3")]
    SessionStart(SessionStartInfo),
    #[prost(message, tag = "4")]
    SessionEnd(SessionEndInfo),
}

/// `Experiment` of `plugins/hparams/api.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExperimentInfo {
    #[prost(double, tag = "3")]
    pub(crate) time_created_secs: f64,
    #[prost(message, repeated, tag = "4")]
    pub(crate) hparam_infos: Vec<HParamInfo>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) metric_infos: Vec<MetricInfo>,
}

/// `HParamInfo` of `plugins/hparams/api.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HParamInfo {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(enumeration = "DataType", tag = "4")]
    pub(crate) r#type: i32,
    #[prost(oneof = "Domain", tags = "5, 6")]
    pub(crate) domain: Option<Domain>,
    /// Whether the runs have different values: TensorBoard shows these first.
    #[prost(bool, tag = "7")]
    pub(crate) differs: bool,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Domain {
    #[prost(message, tag = "5")]
    Discrete(ListValue),
    #[prost(message, tag = "6")]
    Interval(Interval),
}

/// `Interval` of `plugins/hparams/api.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Interval {
    #[prost(double, tag = "1")]
    pub(crate) min_value: f64,
    #[prost(double, tag = "2")]
    pub(crate) max_value: f64,
}

/// `DataType` of `plugins/hparams/api.proto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum DataType {
    Unset = 0,
    String = 1,
    Bool = 2,
    Float64 = 3,
}

/// `MetricInfo` of `plugins/hparams/api.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) name: Option<MetricName>,
    #[prost(string, tag = "3")]
    pub(crate) display_name: String,
    #[prost(int32, tag = "5")]
    pub(crate) dataset_type: i32,
}

/// `MetricName` of `plugins/hparams/api.proto`. Its group, field 1, is the folder of the scalars
/// within that of the run: none.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricName {
    #[prost(string, tag = "2")]
    pub(crate) tag: String,
}

/// `SessionStartInfo` of `plugins/hparams/plugin_data.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionStartInfo {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) hparams: BTreeMap<String, ProtoValue>,
    #[prost(double, tag = "5")]
    pub(crate) start_time_secs: f64,
}

/// `SessionEndInfo` of `plugins/hparams/plugin_data.proto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionEndInfo {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
    #[prost(double, tag = "2")]
    pub(crate) end_time_secs: f64,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ProtoValue {
    #[prost(oneof = "Kind", tags = "2, 3, 4")]
    pub(crate) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Kind {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    String(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
}

/// `google.protobuf.ListValue`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListValue {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<ProtoValue>,
}
