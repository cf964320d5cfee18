#[automatically_derived]
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
impl BasicBlock {
    /// Runs the block.
    pub fn forward(
        &self,
        x: impl ::core::convert::Into<qp::Tensor>,
    ) -> qp::Result<qp::Tensor> {
        <Self as qp::Module>::run(self, ::core::convert::Into::<qp::Tensor>::into(x))
    }
}
/// Two 3x3 convolutions and a shortcut.
///
/// [`BasicBlock`] with observers: made by `prepare`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
pub type BasicBlockPrepared = qp::Prepared<BasicBlock>;
/// Two 3x3 convolutions and a shortcut.
///
/// [`BasicBlock`] in int8: made by `convert`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
pub type BasicBlockConverted = qp::Converted<BasicBlock>;
const _: () = {
    const _: ::core::option::Option<fn(Tensor, Tensor)> = ::core::option::Option::None;
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    fn functions() {
        qp::Operation(::qcore::functional::relu).is_named(&relu);
        qp::Operation(::qcore::functional::relu).is_named(&relu);
    }
    #[automatically_derived]
    impl qp::HasForward for BasicBlock {}
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Parameters for BasicBlock {
        fn parameters(
            &self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &qp::Tensor),
        ) {
            qp::Parameters::parameters(
                <Conv2d as qp::IsLayer<::qcore::ops::Conv2d>>::as_layer(&self.conv1),
                &qp::join(path, "conv1"),
                visit,
            );
            qp::Parameters::parameters(
                <BatchNorm2d as qp::IsLayer<
                    ::qcore::ops::BatchNorm2d,
                >>::as_layer(&self.bn1),
                &qp::join(path, "bn1"),
                visit,
            );
            qp::Parameters::parameters(
                <Conv2d as qp::IsLayer<::qcore::ops::Conv2d>>::as_layer(&self.conv2),
                &qp::join(path, "conv2"),
                visit,
            );
            qp::Parameters::parameters(
                <BatchNorm2d as qp::IsLayer<
                    ::qcore::ops::BatchNorm2d,
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
                    ::qcore::ops::Conv2d,
                >>::as_layer_mut(&mut self.conv1),
                &qp::join(path, "conv1"),
                visit,
            );
            qp::Parameters::parameters_mut(
                <BatchNorm2d as qp::IsLayer<
                    ::qcore::ops::BatchNorm2d,
                >>::as_layer_mut(&mut self.bn1),
                &qp::join(path, "bn1"),
                visit,
            );
            qp::Parameters::parameters_mut(
                <Conv2d as qp::IsLayer<
                    ::qcore::ops::Conv2d,
                >>::as_layer_mut(&mut self.conv2),
                &qp::join(path, "conv2"),
                visit,
            );
            qp::Parameters::parameters_mut(
                <BatchNorm2d as qp::IsLayer<
                    ::qcore::ops::BatchNorm2d,
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
        fn check(&self, path: &::core::primitive::str) -> qp::Result<()> {
            qp::Parameters::check(
                <Conv2d as qp::IsLayer<::qcore::ops::Conv2d>>::as_layer(&self.conv1),
                &qp::join(path, "conv1"),
            )?;
            qp::Parameters::check(
                <BatchNorm2d as qp::IsLayer<
                    ::qcore::ops::BatchNorm2d,
                >>::as_layer(&self.bn1),
                &qp::join(path, "bn1"),
            )?;
            qp::Parameters::check(
                <Conv2d as qp::IsLayer<::qcore::ops::Conv2d>>::as_layer(&self.conv2),
                &qp::join(path, "conv2"),
            )?;
            qp::Parameters::check(
                <BatchNorm2d as qp::IsLayer<
                    ::qcore::ops::BatchNorm2d,
                >>::as_layer(&self.bn2),
                &qp::join(path, "bn2"),
            )?;
            qp::Parameters::check(&self.downsample, &qp::join(path, "downsample"))?;
            ::core::result::Result::Ok(())
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Module for BasicBlock {
        const NAME: &'static ::core::primitive::str = "BasicBlock";
        type Input = qp::Tensor;
        type Output = qp::Tensor;
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
        fn trace(
            &self,
            tracer: &mut qp::Tracer<'_>,
            x: qp::Value,
        ) -> qp::Result<qp::Value> {
            let y = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("conv1"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::layer(
                            ::core::format_args!("conv1"),
                            <Conv2d as qp::IsLayer<
                                ::qcore::ops::Conv2d,
                            >>::as_layer(&self.conv1),
                        ),
                        qp::Member::layer(
                            ::core::format_args!("bn1"),
                            <BatchNorm2d as qp::IsLayer<
                                ::qcore::ops::BatchNorm2d,
                            >>::as_layer(&self.bn1),
                        ),
                        qp::Member::function(
                            ::core::format_args!("relu"),
                            "relu",
                            &qp::ops::relu().map_err(|error| error.in_layer("relu"))?,
                        ),
                    ],
                    &mut [::core::clone::Clone::clone(&x)],
                )?;
            let y_1 = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("conv2"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::layer(
                            ::core::format_args!("conv2"),
                            <Conv2d as qp::IsLayer<
                                ::qcore::ops::Conv2d,
                            >>::as_layer(&self.conv2),
                        ),
                        qp::Member::layer(
                            ::core::format_args!("bn2"),
                            <BatchNorm2d as qp::IsLayer<
                                ::qcore::ops::BatchNorm2d,
                            >>::as_layer(&self.bn2),
                        ),
                    ],
                    &mut [y],
                )?;
            let identity = match &self.downsample {
                ::core::option::Option::Some(downsample) => {
                    let downsample = tracer
                        .call(
                            qp::Site {
                                path: ::core::format_args!("downsample.0"),
                                skip: false,
                                qconfig: ::core::option::Option::None,
                            },
                            &[
                                qp::Member::layer(
                                    ::core::format_args!("downsample.0"),
                                    <Conv2d as qp::IsLayer<
                                        ::qcore::ops::Conv2d,
                                    >>::as_layer(&(*downsample).0.0),
                                ),
                                qp::Member::layer(
                                    ::core::format_args!("downsample.1"),
                                    <BatchNorm2d as qp::IsLayer<
                                        ::qcore::ops::BatchNorm2d,
                                    >>::as_layer(&(*downsample).0.1),
                                ),
                            ],
                            &mut [x],
                        )?;
                    downsample
                }
                ::core::option::Option::None => x,
            };
            let relu_1 = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("y_plus_identity"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("y_plus_identity"),
                            "add",
                            &qp::ops::add()
                                .map_err(|error| error.in_layer("y_plus_identity"))?,
                        ),
                        qp::Member::function(
                            ::core::format_args!("relu_1"),
                            "relu",
                            &qp::ops::relu().map_err(|error| error.in_layer("relu_1"))?,
                        ),
                    ],
                    &mut [y_1, identity],
                )?;
            ::core::result::Result::Ok(relu_1)
        }
    }
};
