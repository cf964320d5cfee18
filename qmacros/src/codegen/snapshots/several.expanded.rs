#[automatically_derived]
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
impl Bounds {
    fn forward(
        &self,
        x: impl ::core::convert::Into<qp::Tensor>,
    ) -> qp::Result<(qp::Tensor, qp::Tensor)> {
        <Self as qp::Module>::run(self, ::core::convert::Into::<qp::Tensor>::into(x))
    }
}
/// [`Bounds`] with observers: made by `prepare`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
type BoundsPrepared = qp::Prepared<Bounds>;
/// [`Bounds`] in int8: made by `convert`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
type BoundsConverted = qp::Converted<Bounds>;
const _: () = {
    const _: ::core::option::Option<fn(Tensor, (Tensor, Tensor))> = ::core::option::Option::None;
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    fn functions() {
        qp::Operation(::qcore::functional::extremes).is_named(&extremes);
    }
    #[automatically_derived]
    impl qp::HasForward for Bounds {}
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Parameters for Bounds {
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
    impl qp::Module for Bounds {
        const NAME: &'static ::core::primitive::str = "Bounds";
        type Input = qp::Tensor;
        type Output = (qp::Tensor, qp::Tensor);
        const GRAPH: &'static qp::Graph = &qp::Graph {
            model: "Bounds",
            inputs: &["x"],
            values: &[
                qp::GraphValue {
                    name: "x",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "low",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "high",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "y",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "_unused",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "state",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "y_plus_high",
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
                        readers: &["extremes"],
                        at_boundary: true,
                    },
                },
                qp::GraphNode {
                    path: "extremes",
                    inputs: &[0usize],
                    outputs: &[1usize, 2usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "extremes",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "extremes",
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
                    path: "cell",
                    inputs: &[1usize],
                    outputs: &[3usize, 4usize, 5usize],
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
                    path: "y_plus_high",
                    inputs: &[3usize, 2usize],
                    outputs: &[6usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "add",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "add",
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
                    inputs: &[5usize],
                    outputs: &[],
                    kind: qp::GraphNodeKind::Stub {
                        action: qp::StubAction::Dequantize,
                        readers: &["return"],
                        at_boundary: true,
                    },
                },
                qp::GraphNode {
                    path: "",
                    inputs: &[6usize],
                    outputs: &[],
                    kind: qp::GraphNodeKind::Stub {
                        action: qp::StubAction::Dequantize,
                        readers: &["return"],
                        at_boundary: true,
                    },
                },
            ],
            outputs: &[6usize, 5usize],
        };
        const FUSIONS: &'static [&'static [&'static ::core::primitive::str]] = &[];
        fn trace(
            &self,
            tracer: &mut qp::Tracer<'_>,
            x: qp::Value,
        ) -> qp::Result<(qp::Value, qp::Value)> {
            let [low, high] = tracer
                .call_several(
                    qp::Site {
                        path: ::core::format_args!("extremes"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::Member::function(
                        ::core::format_args!("extremes"),
                        "extremes",
                        &qp::ops::extremes().map_err(|error| error.in_layer("extremes"))?,
                    ),
                    &mut [x],
                )?;
            let [y, _unused, state] = tracer
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
                    &mut [low],
                )?;
            let y_plus_high = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("y_plus_high"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("y_plus_high"),
                            "add",
                            &qp::ops::add()
                                .map_err(|error| error.in_layer("y_plus_high"))?,
                        ),
                    ],
                    &mut [y, high],
                )?;
            ::core::result::Result::Ok((y_plus_high, state))
        }
    }
};
