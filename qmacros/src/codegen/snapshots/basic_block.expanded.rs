#[automatically_derived]
impl BasicBlock {
    /// Runs the block.
    #[allow(clippy::missing_errors_doc)]
    pub fn forward(
        &self,
        x: impl ::core::convert::Into<::qcore::__private::Tensor>,
    ) -> ::qcore::__private::Result<::qcore::__private::Tensor> {
        <Self as ::qcore::__private::Quantizable>::run(
            self,
            ::core::convert::Into::<::qcore::__private::Tensor>::into(x),
        )
    }
}
/// Two 3x3 convolutions and a shortcut.
///
/// [`BasicBlock`] with fused operations and observers: made by `prepare`.
#[allow(dead_code, clippy::all, clippy::pedantic)]
pub struct BasicBlockPrepared {
    conv1: ::qcore::__private::PreparedOp<<Conv2d as ::qcore::__private::Layer>::Op>,
    conv2: ::qcore::__private::PreparedOp<<Conv2d as ::qcore::__private::Layer>::Op>,
    downsample: BasicBlockPreparedDownsample,
    y_plus_identity: ::qcore::__private::PreparedOp<::qcore::__private::op::Add>,
}
#[allow(dead_code, clippy::all, clippy::pedantic)]
enum BasicBlockPreparedDownsample {
    Then {
        downsample_0: ::qcore::__private::PreparedOp<
            <Conv2d as ::qcore::__private::Layer>::Op,
        >,
    },
    Else {},
}
/// Two 3x3 convolutions and a shortcut.
///
/// [`BasicBlock`] in int8: made by `convert`.
#[allow(dead_code, clippy::all, clippy::pedantic)]
pub struct BasicBlockConverted {
    conv1: ::qcore::__private::ConvertedOp<<Conv2d as ::qcore::__private::Layer>::Op>,
    conv2: ::qcore::__private::ConvertedOp<<Conv2d as ::qcore::__private::Layer>::Op>,
    downsample: BasicBlockConvertedDownsample,
    y_plus_identity: ::qcore::__private::ConvertedOp<::qcore::__private::op::Add>,
}
#[allow(dead_code, clippy::all, clippy::pedantic)]
enum BasicBlockConvertedDownsample {
    Then {
        downsample_0: ::qcore::__private::ConvertedOp<
            <Conv2d as ::qcore::__private::Layer>::Op,
        >,
    },
    Else {},
}
const _: () = {
    const _: () = ::core::assert!(
        ::qcore::__private::same_kind(< Conv2d as ::qcore::__private::Layer > ::KIND,
        "Conv2d"),
        "this `Conv2d` is not `qcore::Conv2d`: `#[quantizable]` knows layers by their names, so a type of another crate needs another name here"
    );
    const _: () = ::core::assert!(
        ::qcore::__private::same_kind(< BatchNorm2d as ::qcore::__private::Layer >
        ::KIND, "BatchNorm2d"),
        "this `BatchNorm2d` is not `qcore::BatchNorm2d`: `#[quantizable]` knows layers by their names, so a type of another crate needs another name here"
    );
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Parameters for BasicBlock {
        fn parameters(
            &self,
            path: &str,
            visit: &mut dyn ::core::ops::FnMut(
                ::std::string::String,
                &::qcore::__private::Tensor,
            ),
        ) {
            ::qcore::__private::Parameters::parameters(
                &self.conv1,
                &::qcore::__private::join(path, "conv1"),
                visit,
            );
            ::qcore::__private::Parameters::parameters(
                &self.bn1,
                &::qcore::__private::join(path, "bn1"),
                visit,
            );
            ::qcore::__private::Parameters::parameters(
                &self.conv2,
                &::qcore::__private::join(path, "conv2"),
                visit,
            );
            ::qcore::__private::Parameters::parameters(
                &self.bn2,
                &::qcore::__private::join(path, "bn2"),
                visit,
            );
            ::qcore::__private::Parameters::parameters(
                &self.downsample,
                &::qcore::__private::join(path, "downsample"),
                visit,
            );
        }
        fn parameters_mut(
            &mut self,
            path: &str,
            visit: &mut dyn ::core::ops::FnMut(
                ::std::string::String,
                &mut ::qcore::__private::Tensor,
            ),
        ) {
            ::qcore::__private::Parameters::parameters_mut(
                &mut self.conv1,
                &::qcore::__private::join(path, "conv1"),
                visit,
            );
            ::qcore::__private::Parameters::parameters_mut(
                &mut self.bn1,
                &::qcore::__private::join(path, "bn1"),
                visit,
            );
            ::qcore::__private::Parameters::parameters_mut(
                &mut self.conv2,
                &::qcore::__private::join(path, "conv2"),
                visit,
            );
            ::qcore::__private::Parameters::parameters_mut(
                &mut self.bn2,
                &::qcore::__private::join(path, "bn2"),
                visit,
            );
            ::qcore::__private::Parameters::parameters_mut(
                &mut self.downsample,
                &::qcore::__private::join(path, "downsample"),
                visit,
            );
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Quantizable for BasicBlock {
        type Input = ::qcore::__private::Tensor;
        type Output = ::qcore::__private::Tensor;
        type Prepared = BasicBlockPrepared;
        type Converted = BasicBlockConverted;
        const GRAPH: &'static ::qcore::__private::Graph = &::qcore::__private::Graph {
            model: "BasicBlock",
            inputs: &["x"],
            values: &[
                ::qcore::__private::GraphValue {
                    name: "x",
                    domain: ::qcore::__private::Domain::Float,
                },
                ::qcore::__private::GraphValue {
                    name: "y",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "y",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "downsample_1",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "identity",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "relu_1",
                    domain: ::qcore::__private::Domain::Int8,
                },
            ],
            nodes: &[
                ::qcore::__private::GraphNode {
                    path: "",
                    inputs: &[0usize],
                    outputs: &[],
                    kind: ::qcore::__private::GraphNodeKind::Stub {
                        action: ::qcore::__private::StubAction::Quantize,
                        readers: &["conv1", "downsample.0", "downsample"],
                        at_boundary: true,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "conv1",
                    inputs: &[0usize],
                    outputs: &[1usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "conv_bn_relu",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::Some("conv1"),
                                object_type: "Conv2d",
                            },
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::Some("bn1"),
                                object_type: "BatchNorm2d",
                            },
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "relu",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Int8,
                        domain_out: ::qcore::__private::Domain::Int8,
                        float_reason: ::core::option::Option::None,
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "conv2",
                    inputs: &[1usize],
                    outputs: &[2usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "conv_bn",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::Some("conv2"),
                                object_type: "Conv2d",
                            },
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::Some("bn2"),
                                object_type: "BatchNorm2d",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Int8,
                        domain_out: ::qcore::__private::Domain::Int8,
                        float_reason: ::core::option::Option::None,
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "downsample",
                    inputs: &[],
                    outputs: &[4usize],
                    kind: ::qcore::__private::GraphNodeKind::Branch {
                        condition: "self.downsample is some",
                        merged: &[
                            ::qcore::__private::GraphMerged {
                                then_value: 3usize,
                                else_value: 0usize,
                                result: 4usize,
                            },
                        ],
                        then_nodes: &[
                            ::qcore::__private::GraphNode {
                                path: "downsample.0",
                                inputs: &[0usize],
                                outputs: &[3usize],
                                kind: ::qcore::__private::GraphNodeKind::Operation {
                                    operation: "conv_bn",
                                    members: &[
                                        ::qcore::__private::GraphMember {
                                            path: ::core::option::Option::Some("downsample.0"),
                                            object_type: "Conv2d",
                                        },
                                        ::qcore::__private::GraphMember {
                                            path: ::core::option::Option::Some("downsample.1"),
                                            object_type: "BatchNorm2d",
                                        },
                                    ],
                                    domain_in: ::qcore::__private::Domain::Int8,
                                    domain_out: ::qcore::__private::Domain::Int8,
                                    float_reason: ::core::option::Option::None,
                                    not_fused: ::core::option::Option::None,
                                },
                            },
                        ],
                        else_nodes: &[],
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "y_plus_identity",
                    inputs: &[2usize, 4usize],
                    outputs: &[5usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "add_relu",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "add",
                            },
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "relu",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Int8,
                        domain_out: ::qcore::__private::Domain::Int8,
                        float_reason: ::core::option::Option::None,
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "",
                    inputs: &[5usize],
                    outputs: &[],
                    kind: ::qcore::__private::GraphNodeKind::Stub {
                        action: ::qcore::__private::StubAction::Dequantize,
                        readers: &["return"],
                        at_boundary: true,
                    },
                },
            ],
            outputs: &[5usize],
        };
        const FUSIONS: &'static [&'static [&'static str]] = &[
            &["conv1", "bn1", "relu"],
            &["conv2", "bn2"],
            &["downsample.0", "downsample.1"],
            &["add", "relu"],
        ];
        fn run(
            &self,
            x: ::qcore::__private::Tensor,
        ) -> ::qcore::__private::Result<::qcore::__private::Tensor> {
            let conv1_out = <Conv2d as ::qcore::__private::Layer>::forward(
                    &self.conv1,
                    ::core::clone::Clone::clone(&x),
                )
                .map_err(|error| error.in_layer("conv1"))?;
            let bn1_out = <BatchNorm2d as ::qcore::__private::Layer>::forward(
                    &self.bn1,
                    conv1_out,
                )
                .map_err(|error| error.in_layer("bn1"))?;
            let y = ::qcore::__private::op::relu()
                .and_then(|op| ::qcore::__private::Op::forward(&op, &mut [bn1_out]))
                .map_err(|error| error.in_layer("relu"))?;
            let conv2_out = <Conv2d as ::qcore::__private::Layer>::forward(
                    &self.conv2,
                    y,
                )
                .map_err(|error| error.in_layer("conv2"))?;
            let y_1 = <BatchNorm2d as ::qcore::__private::Layer>::forward(
                    &self.bn2,
                    conv2_out,
                )
                .map_err(|error| error.in_layer("bn2"))?;
            let identity = match &self.downsample {
                ::core::option::Option::Some(downsample) => {
                    let downsample_0_out = <Conv2d as ::qcore::__private::Layer>::forward(
                            &(*downsample).0.0,
                            x,
                        )
                        .map_err(|error| error.in_layer("downsample.0"))?;
                    let downsample_1_out = <BatchNorm2d as ::qcore::__private::Layer>::forward(
                            &(*downsample).0.1,
                            downsample_0_out,
                        )
                        .map_err(|error| error.in_layer("downsample.1"))?;
                    downsample_1_out
                }
                ::core::option::Option::None => x,
            };
            let y_plus_identity_out = ::qcore::__private::op::add()
                .and_then(|op| ::qcore::__private::Op::forward(
                    &op,
                    &mut [y_1, identity],
                ))
                .map_err(|error| error.in_layer("y_plus_identity"))?;
            let relu_1_out = ::qcore::__private::op::relu()
                .and_then(|op| ::qcore::__private::Op::forward(
                    &op,
                    &mut [y_plus_identity_out],
                ))
                .map_err(|error| error.in_layer("relu_1"))?;
            ::core::result::Result::Ok(relu_1_out)
        }
        fn trace(
            &self,
            tracer: &mut ::qcore::__private::Tracer,
            x: ::qcore::__private::Edge,
        ) -> ::qcore::__private::Result<(Self::Prepared, ::qcore::__private::Edge)> {
            let (conv1, y) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "conv1",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::Some("conv1"),
                                object_type: "Conv2d",
                            },
                            ::qcore::__private::Member {
                                path: ::core::option::Option::Some("bn1"),
                                object_type: "BatchNorm2d",
                            },
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "relu",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::FuseReLU::fuse_relu(
                        ::qcore::__private::FoldBatchNorm::<
                            BatchNorm2d,
                        >::fold_batch_norm(
                                <Conv2d as ::qcore::__private::Layer>::op(&self.conv1)
                                    .map_err(|error| error.in_layer("conv1"))?,
                                &self.bn1,
                            )
                            .map_err(|error| error.in_layer("bn1"))?,
                    ),
                    &[x],
                )?;
            let (conv2, y_1) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "conv2",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::Some("conv2"),
                                object_type: "Conv2d",
                            },
                            ::qcore::__private::Member {
                                path: ::core::option::Option::Some("bn2"),
                                object_type: "BatchNorm2d",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::FoldBatchNorm::<
                        BatchNorm2d,
                    >::fold_batch_norm(
                            <Conv2d as ::qcore::__private::Layer>::op(&self.conv2)
                                .map_err(|error| error.in_layer("conv2"))?,
                            &self.bn2,
                        )
                        .map_err(|error| error.in_layer("bn2"))?,
                    &[y],
                )?;
            let (downsample, identity) = match &self.downsample {
                ::core::option::Option::Some(downsample) => {
                    let (downsample_0, downsample_1) = tracer
                        .op(
                            ::qcore::__private::OpSite {
                                name: "downsample.0",
                                members: &[
                                    ::qcore::__private::Member {
                                        path: ::core::option::Option::Some("downsample.0"),
                                        object_type: "Conv2d",
                                    },
                                    ::qcore::__private::Member {
                                        path: ::core::option::Option::Some("downsample.1"),
                                        object_type: "BatchNorm2d",
                                    },
                                ],
                                skip: false,
                                qconfig: ::core::option::Option::None,
                            },
                            ::qcore::__private::FoldBatchNorm::<
                                BatchNorm2d,
                            >::fold_batch_norm(
                                    <Conv2d as ::qcore::__private::Layer>::op(
                                            &(*downsample).0.0,
                                        )
                                        .map_err(|error| error.in_layer("downsample.0"))?,
                                    &(*downsample).0.1,
                                )
                                .map_err(|error| error.in_layer("downsample.1"))?,
                            &[x],
                        )?;
                    (
                        BasicBlockPreparedDownsample::Then {
                            downsample_0: downsample_0,
                        },
                        downsample_1,
                    )
                }
                ::core::option::Option::None => {
                    (
                        BasicBlockPreparedDownsample::Else {
                        },
                        x,
                    )
                }
            };
            let (y_plus_identity, relu_1) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "y_plus_identity",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "add",
                            },
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "relu",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::FuseReLU::fuse_relu(
                        ::qcore::__private::op::add()
                            .map_err(|error| error.in_layer("y_plus_identity"))?,
                    ),
                    &[y_1, identity],
                )?;
            ::core::result::Result::Ok((
                BasicBlockPrepared {
                    conv1: conv1,
                    conv2: conv2,
                    downsample: downsample,
                    y_plus_identity: y_plus_identity,
                },
                relu_1,
            ))
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::PreparedNetwork<BasicBlock> for BasicBlockPrepared {
        fn run(
            &self,
            observation: &mut ::qcore::__private::Observation<'_>,
            x: ::qcore::__private::Tensor,
        ) -> ::qcore::__private::Result<::qcore::__private::Tensor> {
            let y = ::qcore::__private::PreparedOp::run(
                &self.conv1,
                observation,
                [::core::clone::Clone::clone(&x)],
            )?;
            let y_1 = ::qcore::__private::PreparedOp::run(
                &self.conv2,
                observation,
                [y],
            )?;
            let identity = match &self.downsample {
                BasicBlockPreparedDownsample::Then {
                    downsample_0: downsample_0,
                    ..
                } => {
                    let downsample_1 = ::qcore::__private::PreparedOp::run(
                        downsample_0,
                        observation,
                        [x],
                    )?;
                    downsample_1
                }
                BasicBlockPreparedDownsample::Else { .. } => x,
            };
            let relu_1 = ::qcore::__private::PreparedOp::run(
                &self.y_plus_identity,
                observation,
                [y_1, identity],
            )?;
            ::core::result::Result::Ok(relu_1)
        }
        fn convert(
            &self,
            conversion: &::qcore::__private::Conversion<'_>,
        ) -> ::qcore::__private::Result<BasicBlockConverted> {
            ::core::result::Result::Ok(BasicBlockConverted {
                conv1: ::qcore::__private::PreparedOp::convert(&self.conv1, conversion)?,
                conv2: ::qcore::__private::PreparedOp::convert(&self.conv2, conversion)?,
                downsample: match &self.downsample {
                    BasicBlockPreparedDownsample::Then {
                        downsample_0: downsample_0,
                        ..
                    } => {
                        BasicBlockConvertedDownsample::Then {
                            downsample_0: ::qcore::__private::PreparedOp::convert(
                                downsample_0,
                                conversion,
                            )?,
                        }
                    }
                    BasicBlockPreparedDownsample::Else { .. } => {
                        BasicBlockConvertedDownsample::Else {
                        }
                    }
                },
                y_plus_identity: ::qcore::__private::PreparedOp::convert(
                    &self.y_plus_identity,
                    conversion,
                )?,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::core::clone::Clone for BasicBlockPrepared {
        fn clone(&self) -> Self {
            Self {
                conv1: ::core::clone::Clone::clone(&self.conv1),
                conv2: ::core::clone::Clone::clone(&self.conv2),
                downsample: ::core::clone::Clone::clone(&self.downsample),
                y_plus_identity: ::core::clone::Clone::clone(&self.y_plus_identity),
            }
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for BasicBlockPrepared {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("BasicBlockPrepared").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::core::clone::Clone for BasicBlockPreparedDownsample {
        fn clone(&self) -> Self {
            match self {
                Self::Then { downsample_0: downsample_0, .. } => {
                    Self::Then {
                        downsample_0: ::core::clone::Clone::clone(downsample_0),
                    }
                }
                Self::Else { .. } => Self::Else {},
            }
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::ConvertedNetwork<BasicBlock> for BasicBlockConverted {
        fn run(
            &self,
            x: ::qcore::__private::Value,
        ) -> ::qcore::__private::Result<::qcore::__private::Value> {
            let y = ::qcore::__private::ConvertedOp::run(
                &self.conv1,
                [::core::clone::Clone::clone(&x)],
            )?;
            let y_1 = ::qcore::__private::ConvertedOp::run(&self.conv2, [y])?;
            let identity = match &self.downsample {
                BasicBlockConvertedDownsample::Then {
                    downsample_0: downsample_0,
                    ..
                } => {
                    let downsample_1 = ::qcore::__private::ConvertedOp::run(
                        downsample_0,
                        [x],
                    )?;
                    downsample_1
                }
                BasicBlockConvertedDownsample::Else { .. } => x,
            };
            let relu_1 = ::qcore::__private::ConvertedOp::run(
                &self.y_plus_identity,
                [y_1, identity],
            )?;
            ::core::result::Result::Ok(relu_1)
        }
        fn visit_weights(
            &self,
            visit: &mut dyn ::core::ops::FnMut(&str, &::qcore::__private::QTensor),
        ) {
            ::qcore::__private::ConvertedOp::visit_weights(&self.conv1, visit);
            ::qcore::__private::ConvertedOp::visit_weights(&self.conv2, visit);
            match &self.downsample {
                BasicBlockConvertedDownsample::Then {
                    downsample_0: downsample_0,
                    ..
                } => {
                    ::qcore::__private::ConvertedOp::visit_weights(downsample_0, visit);
                }
                BasicBlockConvertedDownsample::Else { .. } => {}
            }
            ::qcore::__private::ConvertedOp::visit_weights(&self.y_plus_identity, visit);
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for BasicBlockConverted {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("BasicBlockConverted").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Record for BasicBlockConverted {
        fn save(
            &self,
            archive: &mut ::qcore::__private::ArchiveWriter,
            path: &str,
        ) -> ::qcore::__private::Result<()> {
            ::qcore::__private::Record::save(
                &self.conv1,
                archive,
                &::qcore::__private::join(path, "conv1"),
            )?;
            ::qcore::__private::Record::save(
                &self.conv2,
                archive,
                &::qcore::__private::join(path, "conv2"),
            )?;
            ::qcore::__private::Record::save(
                &self.downsample,
                archive,
                &::qcore::__private::join(path, "downsample"),
            )?;
            ::qcore::__private::Record::save(
                &self.y_plus_identity,
                archive,
                &::qcore::__private::join(path, "y_plus_identity"),
            )?;
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &::qcore::__private::Archive,
            path: &str,
        ) -> ::qcore::__private::Result<Self> {
            ::core::result::Result::Ok(Self {
                conv1: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "conv1"),
                )?,
                conv2: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "conv2"),
                )?,
                downsample: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "downsample"),
                )?,
                y_plus_identity: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "y_plus_identity"),
                )?,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Record for BasicBlockConvertedDownsample {
        fn save(
            &self,
            archive: &mut ::qcore::__private::ArchiveWriter,
            path: &str,
        ) -> ::qcore::__private::Result<()> {
            match self {
                Self::Then { downsample_0: downsample_0, .. } => {
                    archive.put_arm(path, "then")?;
                    ::qcore::__private::Record::save(
                        downsample_0,
                        archive,
                        &::qcore::__private::join(path, "downsample_0"),
                    )?;
                }
                Self::Else { .. } => {
                    archive.put_arm(path, "else")?;
                }
            }
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &::qcore::__private::Archive,
            path: &str,
        ) -> ::qcore::__private::Result<Self> {
            match archive.arm(path)? {
                "then" => {
                    ::core::result::Result::Ok(Self::Then {
                        downsample_0: ::qcore::__private::Record::load(
                            archive,
                            &::qcore::__private::join(path, "downsample_0"),
                        )?,
                    })
                }
                "else" => ::core::result::Result::Ok(Self::Else {}),
                arm => ::core::result::Result::Err(archive.unknown_arm(path, arm)),
            }
        }
    }
};
