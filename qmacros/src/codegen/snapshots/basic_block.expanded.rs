#[automatically_derived]
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
impl BasicBlock {
    /// Runs the block.
    pub fn forward(
        &self,
        x: impl ::core::convert::Into<qp::Tensor>,
    ) -> qp::Result<qp::Tensor> {
        <Self as qp::Quantizable>::run(
            self,
            ::core::convert::Into::<qp::Tensor>::into(x),
        )
    }
}
/// Two 3x3 convolutions and a shortcut.
///
/// [`BasicBlock`] with fused operations and observers: made by `prepare`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
pub struct BasicBlockPrepared {
    conv1: qp::PreparedOp<<::qcore::layers::Conv2d as qp::Layer>::Op>,
    conv2: qp::PreparedOp<<::qcore::layers::Conv2d as qp::Layer>::Op>,
    downsample: BasicBlockPreparedDownsample,
    y_plus_identity: qp::PreparedOp<qp::op::Add>,
}
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
enum BasicBlockPreparedDownsample {
    Then { downsample_0: qp::PreparedOp<<::qcore::layers::Conv2d as qp::Layer>::Op> },
    Else {},
}
/// Two 3x3 convolutions and a shortcut.
///
/// [`BasicBlock`] in int8: made by `convert`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
pub struct BasicBlockConverted {
    conv1: qp::ConvertedOp<<::qcore::layers::Conv2d as qp::Layer>::Op>,
    conv2: qp::ConvertedOp<<::qcore::layers::Conv2d as qp::Layer>::Op>,
    downsample: BasicBlockConvertedDownsample,
    y_plus_identity: qp::ConvertedOp<qp::op::Add>,
}
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
enum BasicBlockConvertedDownsample {
    Then { downsample_0: qp::ConvertedOp<<::qcore::layers::Conv2d as qp::Layer>::Op> },
    Else {},
}
const _: () = {
    const _: ::core::option::Option<fn(Tensor, Tensor)> = ::core::option::Option::None;
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Parameters for BasicBlock {
        fn parameters(
            &self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &qp::Tensor),
        ) {
            qp::Parameters::parameters(
                <Conv2d as qp::IsLayer<::qcore::layers::Conv2d>>::as_layer(&self.conv1),
                &qp::join(path, "conv1"),
                visit,
            );
            qp::Parameters::parameters(
                <BatchNorm2d as qp::IsLayer<
                    ::qcore::layers::BatchNorm2d,
                >>::as_layer(&self.bn1),
                &qp::join(path, "bn1"),
                visit,
            );
            qp::Parameters::parameters(
                <Conv2d as qp::IsLayer<::qcore::layers::Conv2d>>::as_layer(&self.conv2),
                &qp::join(path, "conv2"),
                visit,
            );
            qp::Parameters::parameters(
                <BatchNorm2d as qp::IsLayer<
                    ::qcore::layers::BatchNorm2d,
                >>::as_layer(&self.bn2),
                &qp::join(path, "bn2"),
                visit,
            );
            qp::Parameters::parameters(
                &self.downsample,
                &qp::join(path, "downsample"),
                visit,
            );
        }
        fn parameters_mut(
            &mut self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &mut qp::Tensor),
        ) {
            qp::Parameters::parameters_mut(
                <Conv2d as qp::IsLayer<
                    ::qcore::layers::Conv2d,
                >>::as_layer_mut(&mut self.conv1),
                &qp::join(path, "conv1"),
                visit,
            );
            qp::Parameters::parameters_mut(
                <BatchNorm2d as qp::IsLayer<
                    ::qcore::layers::BatchNorm2d,
                >>::as_layer_mut(&mut self.bn1),
                &qp::join(path, "bn1"),
                visit,
            );
            qp::Parameters::parameters_mut(
                <Conv2d as qp::IsLayer<
                    ::qcore::layers::Conv2d,
                >>::as_layer_mut(&mut self.conv2),
                &qp::join(path, "conv2"),
                visit,
            );
            qp::Parameters::parameters_mut(
                <BatchNorm2d as qp::IsLayer<
                    ::qcore::layers::BatchNorm2d,
                >>::as_layer_mut(&mut self.bn2),
                &qp::join(path, "bn2"),
                visit,
            );
            qp::Parameters::parameters_mut(
                &mut self.downsample,
                &qp::join(path, "downsample"),
                visit,
            );
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Quantizable for BasicBlock {
        type Input = qp::Tensor;
        type Output = qp::Tensor;
        type Prepared = BasicBlockPrepared;
        type Converted = BasicBlockConverted;
        const GRAPH: &'static qp::Graph = &qp::Graph {
            model: "BasicBlock",
            inputs: &["x"],
            values: &[
                qp::GraphValue {
                    name: "x",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "y",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "y",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "downsample",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "identity",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "relu_1",
                    domain: qp::Domain::Int8,
                },
            ],
            nodes: &[
                qp::GraphNode {
                    path: "",
                    inputs: &[0usize],
                    outputs: &[],
                    kind: qp::GraphNodeKind::Stub {
                        action: qp::StubAction::Quantize,
                        readers: &["conv1", "downsample.0", "downsample"],
                        at_boundary: true,
                    },
                },
                qp::GraphNode {
                    path: "conv1",
                    inputs: &[0usize],
                    outputs: &[1usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "conv_bn_relu",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::Some("conv1"),
                                object_type: "Conv2d",
                            },
                            qp::GraphMember {
                                path: ::core::option::Option::Some("bn1"),
                                object_type: "BatchNorm2d",
                            },
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "relu",
                            },
                        ],
                        domain_in: qp::Domain::Int8,
                        domain_out: qp::Domain::Int8,
                        float_reason: ::core::option::Option::None,
                        not_fused: ::core::option::Option::None,
                        computed_with: &[],
                    },
                },
                qp::GraphNode {
                    path: "conv2",
                    inputs: &[1usize],
                    outputs: &[2usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "conv_bn",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::Some("conv2"),
                                object_type: "Conv2d",
                            },
                            qp::GraphMember {
                                path: ::core::option::Option::Some("bn2"),
                                object_type: "BatchNorm2d",
                            },
                        ],
                        domain_in: qp::Domain::Int8,
                        domain_out: qp::Domain::Int8,
                        float_reason: ::core::option::Option::None,
                        not_fused: ::core::option::Option::None,
                        computed_with: &[],
                    },
                },
                qp::GraphNode {
                    path: "downsample",
                    inputs: &[],
                    outputs: &[4usize],
                    kind: qp::GraphNodeKind::Branch {
                        condition: "self.downsample is some",
                        merged: &[
                            qp::GraphMerged {
                                then_value: 3usize,
                                else_value: 0usize,
                                result: 4usize,
                            },
                        ],
                        then_nodes: &[
                            qp::GraphNode {
                                path: "downsample.0",
                                inputs: &[0usize],
                                outputs: &[3usize],
                                kind: qp::GraphNodeKind::Operation {
                                    operation: "conv_bn",
                                    members: &[
                                        qp::GraphMember {
                                            path: ::core::option::Option::Some("downsample.0"),
                                            object_type: "Conv2d",
                                        },
                                        qp::GraphMember {
                                            path: ::core::option::Option::Some("downsample.1"),
                                            object_type: "BatchNorm2d",
                                        },
                                    ],
                                    domain_in: qp::Domain::Int8,
                                    domain_out: qp::Domain::Int8,
                                    float_reason: ::core::option::Option::None,
                                    not_fused: ::core::option::Option::None,
                                    computed_with: &[],
                                },
                            },
                        ],
                        else_nodes: &[],
                    },
                },
                qp::GraphNode {
                    path: "y_plus_identity",
                    inputs: &[2usize, 4usize],
                    outputs: &[5usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "add_relu",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "add",
                            },
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "relu",
                            },
                        ],
                        domain_in: qp::Domain::Int8,
                        domain_out: qp::Domain::Int8,
                        float_reason: ::core::option::Option::None,
                        not_fused: ::core::option::Option::None,
                        computed_with: &["conv2", "downsample.0"],
                    },
                },
                qp::GraphNode {
                    path: "",
                    inputs: &[5usize],
                    outputs: &[],
                    kind: qp::GraphNodeKind::Stub {
                        action: qp::StubAction::Dequantize,
                        readers: &["return"],
                        at_boundary: true,
                    },
                },
            ],
            outputs: &[5usize],
        };
        const FUSIONS: &'static [&'static [&'static ::core::primitive::str]] = &[
            &["conv1", "bn1", "relu"],
            &["conv2", "bn2"],
            &["downsample.0", "downsample.1"],
            &["add", "relu"],
        ];
        fn run(&self, x: qp::Tensor) -> qp::Result<qp::Tensor> {
            let conv1_out = qp::Layer::forward(
                    <Conv2d as qp::IsLayer<
                        ::qcore::layers::Conv2d,
                    >>::as_layer(&self.conv1),
                    ::core::clone::Clone::clone(&x),
                )
                .map_err(|error| error.in_layer("conv1"))?;
            let bn1_out = qp::Layer::forward(
                    <BatchNorm2d as qp::IsLayer<
                        ::qcore::layers::BatchNorm2d,
                    >>::as_layer(&self.bn1),
                    conv1_out,
                )
                .map_err(|error| error.in_layer("bn1"))?;
            let y = qp::op::relu()
                .and_then(|op| qp::Op::forward(&op, &mut [bn1_out]))
                .map_err(|error| error.in_layer("relu"))?;
            let conv2_out = qp::Layer::forward(
                    <Conv2d as qp::IsLayer<
                        ::qcore::layers::Conv2d,
                    >>::as_layer(&self.conv2),
                    y,
                )
                .map_err(|error| error.in_layer("conv2"))?;
            let y_1 = qp::Layer::forward(
                    <BatchNorm2d as qp::IsLayer<
                        ::qcore::layers::BatchNorm2d,
                    >>::as_layer(&self.bn2),
                    conv2_out,
                )
                .map_err(|error| error.in_layer("bn2"))?;
            let identity = match &self.downsample {
                ::core::option::Option::Some(downsample) => {
                    let downsample_0_out = qp::Layer::forward(
                            <Conv2d as qp::IsLayer<
                                ::qcore::layers::Conv2d,
                            >>::as_layer(&(*downsample).0.0),
                            x,
                        )
                        .map_err(|error| error.in_layer("downsample.0"))?;
                    let downsample_out = qp::Layer::forward(
                            <BatchNorm2d as qp::IsLayer<
                                ::qcore::layers::BatchNorm2d,
                            >>::as_layer(&(*downsample).0.1),
                            downsample_0_out,
                        )
                        .map_err(|error| error.in_layer("downsample.1"))?;
                    downsample_out
                }
                ::core::option::Option::None => x,
            };
            let y_plus_identity_out = qp::op::add()
                .and_then(|op| qp::Op::forward(&op, &mut [y_1, identity]))
                .map_err(|error| error.in_layer("y_plus_identity"))?;
            let relu_1_out = qp::op::relu()
                .and_then(|op| qp::Op::forward(&op, &mut [y_plus_identity_out]))
                .map_err(|error| error.in_layer("relu_1"))?;
            ::core::result::Result::Ok(relu_1_out)
        }
        fn trace(
            &self,
            tracer: &mut qp::Tracer,
            x: qp::Edge,
        ) -> qp::Result<(Self::Prepared, qp::Edge)> {
            let (conv1, y) = tracer
                .op(
                    qp::OpSite {
                        name: "conv1",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::Some("conv1"),
                                object_type: "Conv2d",
                            },
                            qp::Member {
                                path: ::core::option::Option::Some("bn1"),
                                object_type: "BatchNorm2d",
                            },
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "relu",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::FuseReLU::fuse_relu(
                        qp::FoldBatchNorm::fold_batch_norm(
                                qp::Layer::op(
                                        <Conv2d as qp::IsLayer<
                                            ::qcore::layers::Conv2d,
                                        >>::as_layer(&self.conv1),
                                    )
                                    .map_err(|error| error.in_layer("conv1"))?,
                                <BatchNorm2d as qp::IsLayer<
                                    ::qcore::layers::BatchNorm2d,
                                >>::as_layer(&self.bn1),
                            )
                            .map_err(|error| error.in_layer("bn1"))?,
                    ),
                    &[x],
                )?;
            let (conv2, y_1) = tracer
                .op(
                    qp::OpSite {
                        name: "conv2",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::Some("conv2"),
                                object_type: "Conv2d",
                            },
                            qp::Member {
                                path: ::core::option::Option::Some("bn2"),
                                object_type: "BatchNorm2d",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::FoldBatchNorm::fold_batch_norm(
                            qp::Layer::op(
                                    <Conv2d as qp::IsLayer<
                                        ::qcore::layers::Conv2d,
                                    >>::as_layer(&self.conv2),
                                )
                                .map_err(|error| error.in_layer("conv2"))?,
                            <BatchNorm2d as qp::IsLayer<
                                ::qcore::layers::BatchNorm2d,
                            >>::as_layer(&self.bn2),
                        )
                        .map_err(|error| error.in_layer("bn2"))?,
                    &[y],
                )?;
            let (downsample, identity) = match &self.downsample {
                ::core::option::Option::Some(downsample) => {
                    let (downsample_0, downsample_out) = tracer
                        .op(
                            qp::OpSite {
                                name: "downsample.0",
                                members: &[
                                    qp::Member {
                                        path: ::core::option::Option::Some("downsample.0"),
                                        object_type: "Conv2d",
                                    },
                                    qp::Member {
                                        path: ::core::option::Option::Some("downsample.1"),
                                        object_type: "BatchNorm2d",
                                    },
                                ],
                                skip: false,
                                qconfig: ::core::option::Option::None,
                            },
                            qp::FoldBatchNorm::fold_batch_norm(
                                    qp::Layer::op(
                                            <Conv2d as qp::IsLayer<
                                                ::qcore::layers::Conv2d,
                                            >>::as_layer(&(*downsample).0.0),
                                        )
                                        .map_err(|error| error.in_layer("downsample.0"))?,
                                    <BatchNorm2d as qp::IsLayer<
                                        ::qcore::layers::BatchNorm2d,
                                    >>::as_layer(&(*downsample).0.1),
                                )
                                .map_err(|error| error.in_layer("downsample.1"))?,
                            &[x],
                        )?;
                    (
                        BasicBlockPreparedDownsample::Then {
                            downsample_0: downsample_0,
                        },
                        downsample_out,
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
                    qp::OpSite {
                        name: "y_plus_identity",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "add",
                            },
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "relu",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::FuseReLU::fuse_relu(
                        qp::op::add().map_err(|error| error.in_layer("y_plus_identity"))?,
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
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::PreparedNetwork<BasicBlock> for BasicBlockPrepared {
        fn run(
            &self,
            observation: &mut qp::Observation<'_>,
            x: qp::Tensor,
        ) -> qp::Result<qp::Tensor> {
            let y = qp::PreparedOp::run(
                &self.conv1,
                observation,
                [::core::clone::Clone::clone(&x)],
            )?;
            let y_1 = qp::PreparedOp::run(&self.conv2, observation, [y])?;
            let identity = match &self.downsample {
                BasicBlockPreparedDownsample::Then {
                    downsample_0: downsample_0,
                    ..
                } => {
                    let downsample_out = qp::PreparedOp::run(
                        downsample_0,
                        observation,
                        [x],
                    )?;
                    downsample_out
                }
                BasicBlockPreparedDownsample::Else { .. } => x,
            };
            let relu_1 = qp::PreparedOp::run(
                &self.y_plus_identity,
                observation,
                [y_1, identity],
            )?;
            ::core::result::Result::Ok(relu_1)
        }
        fn convert(
            &self,
            conversion: &qp::Conversion<'_>,
        ) -> qp::Result<BasicBlockConverted> {
            ::core::result::Result::Ok(BasicBlockConverted {
                conv1: qp::PreparedOp::convert(&self.conv1, conversion)?,
                conv2: qp::PreparedOp::convert(&self.conv2, conversion)?,
                downsample: match &self.downsample {
                    BasicBlockPreparedDownsample::Then {
                        downsample_0: downsample_0,
                        ..
                    } => {
                        BasicBlockConvertedDownsample::Then {
                            downsample_0: qp::PreparedOp::convert(
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
                y_plus_identity: qp::PreparedOp::convert(
                    &self.y_plus_identity,
                    conversion,
                )?,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
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
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl ::core::fmt::Debug for BasicBlockPrepared {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("BasicBlockPrepared").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
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
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::ConvertedNetwork<BasicBlock> for BasicBlockConverted {
        fn run(&self, x: qp::Value) -> qp::Result<qp::Value> {
            let y = qp::ConvertedOp::run(
                &self.conv1,
                [::core::clone::Clone::clone(&x)],
            )?;
            let y_1 = qp::ConvertedOp::run(&self.conv2, [y])?;
            let identity = match &self.downsample {
                BasicBlockConvertedDownsample::Then {
                    downsample_0: downsample_0,
                    ..
                } => {
                    let downsample_out = qp::ConvertedOp::run(downsample_0, [x])?;
                    downsample_out
                }
                BasicBlockConvertedDownsample::Else { .. } => x,
            };
            let relu_1 = qp::ConvertedOp::run(&self.y_plus_identity, [y_1, identity])?;
            ::core::result::Result::Ok(relu_1)
        }
        fn visit_weights(
            &self,
            visit: &mut dyn ::core::ops::FnMut(&::core::primitive::str, &qp::QTensor),
        ) {
            qp::ConvertedOp::visit_weights(&self.conv1, visit);
            qp::ConvertedOp::visit_weights(&self.conv2, visit);
            match &self.downsample {
                BasicBlockConvertedDownsample::Then {
                    downsample_0: downsample_0,
                    ..
                } => {
                    qp::ConvertedOp::visit_weights(downsample_0, visit);
                }
                BasicBlockConvertedDownsample::Else { .. } => {}
            }
            qp::ConvertedOp::visit_weights(&self.y_plus_identity, visit);
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl ::core::fmt::Debug for BasicBlockConverted {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("BasicBlockConverted").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Record for BasicBlockConverted {
        fn save(
            &self,
            archive: &mut qp::ArchiveWriter,
            path: &::core::primitive::str,
        ) -> qp::Result<()> {
            qp::Record::save(&self.conv1, archive, &qp::join(path, "conv1"))?;
            qp::Record::save(&self.conv2, archive, &qp::join(path, "conv2"))?;
            qp::Record::save(&self.downsample, archive, &qp::join(path, "downsample"))?;
            qp::Record::save(
                &self.y_plus_identity,
                archive,
                &qp::join(path, "y_plus_identity"),
            )?;
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &qp::Archive,
            path: &::core::primitive::str,
        ) -> qp::Result<Self> {
            ::core::result::Result::Ok(Self {
                conv1: qp::Record::load(archive, &qp::join(path, "conv1"))?,
                conv2: qp::Record::load(archive, &qp::join(path, "conv2"))?,
                downsample: qp::Record::load(archive, &qp::join(path, "downsample"))?,
                y_plus_identity: qp::Record::load(
                    archive,
                    &qp::join(path, "y_plus_identity"),
                )?,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Record for BasicBlockConvertedDownsample {
        fn save(
            &self,
            archive: &mut qp::ArchiveWriter,
            path: &::core::primitive::str,
        ) -> qp::Result<()> {
            match self {
                Self::Then { downsample_0: downsample_0, .. } => {
                    archive.put_arm(path, "then")?;
                    qp::Record::save(
                        downsample_0,
                        archive,
                        &qp::join(path, "downsample_0"),
                    )?;
                }
                Self::Else { .. } => {
                    archive.put_arm(path, "else")?;
                }
            }
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &qp::Archive,
            path: &::core::primitive::str,
        ) -> qp::Result<Self> {
            match archive.arm(path)? {
                "then" => {
                    ::core::result::Result::Ok(Self::Then {
                        downsample_0: qp::Record::load(
                            archive,
                            &qp::join(path, "downsample_0"),
                        )?,
                    })
                }
                "else" => ::core::result::Result::Ok(Self::Else {}),
                arm => ::core::result::Result::Err(archive.unknown_arm(path, arm)),
            }
        }
    }
};
