#[automatically_derived]
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
impl Steps {
    fn forward(
        &self,
        x: impl ::core::convert::Into<qp::Tensor>,
        h: impl ::core::convert::Into<qp::Tensor>,
    ) -> qp::Result<qp::Tensor> {
        <Self as qp::Module>::run(
            self,
            (
                ::core::convert::Into::<qp::Tensor>::into(x),
                ::core::convert::Into::<qp::Tensor>::into(h),
            ),
        )
    }
}
/// [`Steps`] with observers: made by `prepare`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
type StepsPrepared = qp::Prepared<Steps>;
/// [`Steps`] in int8: made by `convert`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
type StepsConverted = qp::Converted<Steps>;
const _: () = {
    const _: ::core::option::Option<fn(Tensor, Tensor, Tensor)> = ::core::option::Option::None;
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    fn functions() {
        qp::Operation(::qcore::functional::blend).is_named(&blend);
        qp::Operation(::qcore::functional::blend).is_named(&::qcore::functional::blend);
        qp::Operation(::qcore::functional::relu).is_named(&relu);
    }
    #[automatically_derived]
    impl qp::HasForward for Steps {}
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Parameters for Steps {
        fn parameters(
            &self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &qp::Tensor),
        ) {
            qp::Parameters::parameters(
                <Cell as qp::IsLayer<::qcore::ops::Cell>>::as_layer(&self.cell),
                &qp::join(path, "cell"),
                visit,
            );
        }
        fn parameters_mut(
            &mut self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &mut qp::Tensor),
        ) {
            qp::Parameters::parameters_mut(
                <Cell as qp::IsLayer<::qcore::ops::Cell>>::as_layer_mut(&mut self.cell),
                &qp::join(path, "cell"),
                visit,
            );
        }
        fn check(&self, path: &::core::primitive::str) -> qp::Result<()> {
            qp::Parameters::check(
                <Cell as qp::IsLayer<::qcore::ops::Cell>>::as_layer(&self.cell),
                &qp::join(path, "cell"),
            )?;
            ::core::result::Result::Ok(())
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Module for Steps {
        const NAME: &'static ::core::primitive::str = "Steps";
        type Input = (qp::Tensor, qp::Tensor);
        type Output = qp::Tensor;
        const GRAPH: &'static qp::Graph = &qp::Graph {
            model: "Steps",
            inputs: &["x", "h"],
            values: &[
                qp::GraphValue {
                    name: "x",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "h",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "y",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "h",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "_unused",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "z",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "relu",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "blend_1",
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
                        readers: &["cell"],
                        at_boundary: true,
                    },
                },
                qp::GraphNode {
                    path: "",
                    inputs: &[1usize],
                    outputs: &[],
                    kind: qp::GraphNodeKind::Stub {
                        action: qp::StubAction::Quantize,
                        readers: &["cell"],
                        at_boundary: true,
                    },
                },
                qp::GraphNode {
                    path: "cell",
                    inputs: &[0usize, 1usize],
                    outputs: &[2usize, 3usize, 4usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "cell",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::Some("cell"),
                                object_type: "Cell",
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
                    path: "blend",
                    inputs: &[2usize, 3usize],
                    outputs: &[5usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "blend",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "blend",
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
                    path: "relu",
                    inputs: &[5usize],
                    outputs: &[6usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "relu",
                        members: &[
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
                    path: "blend_1",
                    inputs: &[5usize, 6usize],
                    outputs: &[7usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "blend",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "blend",
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
                    path: "",
                    inputs: &[7usize],
                    outputs: &[],
                    kind: qp::GraphNodeKind::Stub {
                        action: qp::StubAction::Dequantize,
                        readers: &["return"],
                        at_boundary: true,
                    },
                },
            ],
            outputs: &[7usize],
        };
        const FUSIONS: &'static [&'static [&'static ::core::primitive::str]] = &[];
        fn trace(
            &self,
            tracer: &mut qp::Tracer<'_>,
            (x, h): (qp::Value, qp::Value),
        ) -> qp::Result<qp::Value> {
            let [y, h_1, _unused] = tracer
                .call_several(
                    qp::Site {
                        path: ::core::format_args!("cell"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::Member::layer(
                        ::core::format_args!("cell"),
                        <Cell as qp::IsLayer<::qcore::ops::Cell>>::as_layer(&self.cell),
                    ),
                    &mut [x, h],
                )?;
            let z = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("blend"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("blend"),
                            "blend",
                            &qp::ops::blend(
                                    ::core::option::Option::None,
                                    qp::integer(self.count)?,
                                    ::core::option::Option::Some(1usize),
                                )
                                .map_err(|error| error.in_layer("blend"))?,
                        ),
                    ],
                    &mut [y, h_1],
                )?;
            let relu = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("relu"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("relu"),
                            "relu",
                            &qp::ops::relu().map_err(|error| error.in_layer("relu"))?,
                        ),
                    ],
                    &mut [::core::clone::Clone::clone(&z)],
                )?;
            let blend_1 = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("blend_1"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("blend_1"),
                            "blend",
                            &qp::ops::blend(
                                    ::core::option::Option::Some(1usize),
                                    1,
                                    ::core::option::Option::None,
                                )
                                .map_err(|error| error.in_layer("blend_1"))?,
                        ),
                    ],
                    &mut [z, relu],
                )?;
            ::core::result::Result::Ok(blend_1)
        }
    }
};
