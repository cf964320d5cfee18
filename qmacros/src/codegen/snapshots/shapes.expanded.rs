#[automatically_derived]
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
impl Shuffle {
    fn forward(
        &self,
        x: impl ::core::convert::Into<qp::Tensor>,
    ) -> qp::Result<qp::Tensor> {
        <Self as qp::Module>::run(self, ::core::convert::Into::<qp::Tensor>::into(x))
    }
}
/// [`Shuffle`] with observers: made by `prepare`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
type ShufflePrepared = qp::Prepared<Shuffle>;
/// [`Shuffle`] in int8: made by `convert`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
type ShuffleConverted = qp::Converted<Shuffle>;
const _: () = {
    const _: ::core::option::Option<fn(Tensor, Tensor)> = ::core::option::Option::None;
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    fn functions() {
        qp::Operation(::qcore::functional::chunk).is_named(&::qcore::functional::chunk);
        qp::Operation(::qcore::functional::cat).is_named(&cat);
        qp::Operation(::qcore::functional::reshape)
            .is_named(&::qcore::functional::reshape);
        qp::Operation(::qcore::functional::permute)
            .is_named(&::qcore::functional::permute);
    }
    #[automatically_derived]
    impl qp::HasForward for Shuffle {}
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Parameters for Shuffle {
        fn parameters(
            &self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &qp::Tensor),
        ) {}
        fn parameters_mut(
            &mut self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &mut qp::Tensor),
        ) {}
        fn check(&self, path: &::core::primitive::str) -> qp::Result<()> {
            ::core::result::Result::Ok(())
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Module for Shuffle {
        const NAME: &'static ::core::primitive::str = "Shuffle";
        type Input = qp::Tensor;
        type Output = qp::Tensor;
        const GRAPH: &'static qp::Graph = &qp::Graph {
            model: "Shuffle",
            inputs: &["x"],
            values: &[
                qp::GraphValue {
                    name: "x",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "a",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "b",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "y",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "y",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "permute",
                    domain: qp::Domain::Float,
                },
            ],
            nodes: &[
                qp::GraphNode {
                    path: "chunk_0",
                    inputs: &[0usize],
                    outputs: &[1usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "chunk",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "chunk",
                            },
                        ],
                        domain_in: qp::Domain::Float,
                        domain_out: qp::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its input is float and nothing quantized reads its result",
                        ),
                        not_fused: ::core::option::Option::None,
                        computed_with: &[],
                    },
                },
                qp::GraphNode {
                    path: "chunk_1",
                    inputs: &[0usize],
                    outputs: &[2usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "chunk",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "chunk",
                            },
                        ],
                        domain_in: qp::Domain::Float,
                        domain_out: qp::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its input is float and nothing quantized reads its result",
                        ),
                        not_fused: ::core::option::Option::None,
                        computed_with: &[],
                    },
                },
                qp::GraphNode {
                    path: "b_cat_a",
                    inputs: &[2usize, 1usize],
                    outputs: &[3usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "cat",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "cat",
                            },
                        ],
                        domain_in: qp::Domain::Float,
                        domain_out: qp::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its input is float and nothing quantized reads its result",
                        ),
                        not_fused: ::core::option::Option::None,
                        computed_with: &[],
                    },
                },
                qp::GraphNode {
                    path: "reshape",
                    inputs: &[3usize],
                    outputs: &[4usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "reshape",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "reshape",
                            },
                        ],
                        domain_in: qp::Domain::Float,
                        domain_out: qp::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its input is float and nothing quantized reads its result",
                        ),
                        not_fused: ::core::option::Option::None,
                        computed_with: &[],
                    },
                },
                qp::GraphNode {
                    path: "permute",
                    inputs: &[4usize],
                    outputs: &[5usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "permute",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "permute",
                            },
                        ],
                        domain_in: qp::Domain::Float,
                        domain_out: qp::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its input is float and nothing quantized reads its result",
                        ),
                        not_fused: ::core::option::Option::None,
                        computed_with: &[],
                    },
                },
            ],
            outputs: &[5usize],
        };
        const FUSIONS: &'static [&'static [&'static ::core::primitive::str]] = &[];
        fn trace(
            &self,
            tracer: &mut qp::Tracer<'_>,
            x: qp::Value,
        ) -> qp::Result<qp::Value> {
            let a = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("chunk_0"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("chunk_0"),
                            "chunk",
                            &qp::ops::chunk(2, ::core::option::Option::Some(1), 0usize)
                                .map_err(|error| error.in_layer("chunk_0"))?,
                        ),
                    ],
                    &mut [::core::clone::Clone::clone(&x)],
                )?;
            let b = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("chunk_1"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("chunk_1"),
                            "chunk",
                            &qp::ops::chunk(2, ::core::option::Option::Some(1), 1usize)
                                .map_err(|error| error.in_layer("chunk_1"))?,
                        ),
                    ],
                    &mut [::core::clone::Clone::clone(&x)],
                )?;
            let y = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("b_cat_a"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("b_cat_a"),
                            "cat",
                            &qp::ops::cat(::core::option::Option::Some(1))
                                .map_err(|error| error.in_layer("b_cat_a"))?,
                        ),
                    ],
                    &mut [b, a],
                )?;
            let y_1 = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("reshape"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("reshape"),
                            "reshape",
                            &qp::ops::reshape(
                                    ::std::vec![
                                        qp::Extent::SizeOf { input : 1usize, dim : 0 },
                                        qp::Extent::from(self.groups), qp::Extent::from(- 1)
                                    ],
                                )
                                .map_err(|error| error.in_layer("reshape"))?,
                        ),
                    ],
                    &mut [y, ::core::clone::Clone::clone(&x)],
                )?;
            let permute = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("permute"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("permute"),
                            "permute",
                            &qp::ops::permute([0, 2, 1])
                                .map_err(|error| error.in_layer("permute"))?,
                        ),
                    ],
                    &mut [y_1],
                )?;
            ::core::result::Result::Ok(permute)
        }
    }
};
