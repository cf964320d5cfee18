#[automatically_derived]
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
impl<B> Pair<B>
where
    B: qp::Module<Input = (qp::Tensor, qp::Tensor), Output = (qp::Tensor, qp::Tensor)>,
    B: 'static,
{
    pub fn forward(
        &self,
        a: impl ::core::convert::Into<qp::Tensor>,
        b: impl ::core::convert::Into<qp::Tensor>,
    ) -> qp::Result<(qp::Tensor, qp::Tensor)> {
        <Self as qp::Module>::run(
            self,
            (
                ::core::convert::Into::<qp::Tensor>::into(a),
                ::core::convert::Into::<qp::Tensor>::into(b),
            ),
        )
    }
}
/// [`Pair`] with observers: made by `prepare`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
pub type PairPrepared<B> = qp::Prepared<Pair<B>>;
/// [`Pair`] in int8: made by `convert`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
pub type PairConverted<B> = qp::Converted<Pair<B>>;
const _: () = {
    const _: ::core::option::Option<fn(Tensor, Tensor, (Tensor, Tensor))> = ::core::option::Option::None;
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    fn functions() {
        qp::Operation(::qcore::functional::dequant).is_named(&dequant);
    }
    #[automatically_derived]
    impl<B> qp::HasForward for Pair<B> {}
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> qp::Parameters for Pair<B>
    where
        B: qp::Module<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
        >,
        B: 'static,
    {
        fn parameters(
            &self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &qp::Tensor),
        ) {
            qp::Parameters::parameters(&self.left, &qp::join(path, "left"), visit);
            qp::Parameters::parameters(
                <Linear as qp::IsLayer<::qcore::ops::Linear>>::as_layer(&self.fc),
                &qp::join(path, "fc"),
                visit,
            );
        }
        fn parameters_mut(
            &mut self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &mut qp::Tensor),
        ) {
            qp::Parameters::parameters_mut(
                &mut self.left,
                &qp::join(path, "left"),
                visit,
            );
            qp::Parameters::parameters_mut(
                <Linear as qp::IsLayer<
                    ::qcore::ops::Linear,
                >>::as_layer_mut(&mut self.fc),
                &qp::join(path, "fc"),
                visit,
            );
        }
        fn check(&self, path: &::core::primitive::str) -> qp::Result<()> {
            qp::Parameters::check(&self.left, &qp::join(path, "left"))?;
            qp::Parameters::check(
                <Linear as qp::IsLayer<::qcore::ops::Linear>>::as_layer(&self.fc),
                &qp::join(path, "fc"),
            )?;
            ::core::result::Result::Ok(())
        }
        fn owners(
            &self,
            path: &::core::primitive::str,
            key: &::core::primitive::str,
            owners: &mut ::std::vec::Vec<::std::string::String>,
        ) {
            qp::add_owner(&self.left, &qp::join(path, "left"), key, "Pair.left", owners);
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> qp::Module for Pair<B>
    where
        B: qp::Module<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
        >,
        B: 'static,
    {
        const NAME: &'static ::core::primitive::str = "Pair";
        type Input = (qp::Tensor, qp::Tensor);
        type Output = (qp::Tensor, qp::Tensor);
        const GRAPH: &'static qp::Graph = &qp::Graph {
            model: "Pair",
            inputs: &["a", "b"],
            values: &[
                qp::GraphValue {
                    name: "a",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "b",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "c",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "d",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "c",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "d",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "c_times_scalar",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "e",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "dequant",
                    domain: qp::Domain::Float,
                },
            ],
            nodes: &[
                qp::GraphNode {
                    path: "",
                    inputs: &[0usize],
                    outputs: &[],
                    kind: qp::GraphNodeKind::Stub {
                        action: qp::StubAction::Quantize,
                        readers: &["left"],
                        at_boundary: true,
                    },
                },
                qp::GraphNode {
                    path: "",
                    inputs: &[1usize],
                    outputs: &[],
                    kind: qp::GraphNodeKind::Stub {
                        action: qp::StubAction::Quantize,
                        readers: &["left"],
                        at_boundary: true,
                    },
                },
                qp::GraphNode {
                    path: "left",
                    inputs: &[0usize, 1usize],
                    outputs: &[2usize, 3usize],
                    kind: qp::GraphNodeKind::Model {
                        model: "B",
                        graph: <B as qp::Module>::GRAPH,
                        float_reason: ::core::option::Option::None,
                    },
                },
                qp::GraphNode {
                    path: "fc",
                    inputs: &[2usize],
                    outputs: &[4usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "linear",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
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
                    path: "fc",
                    inputs: &[3usize],
                    outputs: &[5usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "linear",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
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
                    path: "swap",
                    inputs: &[],
                    outputs: &[7usize],
                    kind: qp::GraphNodeKind::Branch {
                        condition: "self.swap",
                        merged: &[
                            qp::GraphMerged {
                                then_value: 6usize,
                                else_value: 5usize,
                                result: 7usize,
                            },
                        ],
                        then_nodes: &[
                            qp::GraphNode {
                                path: "c_times_scalar",
                                inputs: &[4usize],
                                outputs: &[6usize],
                                kind: qp::GraphNodeKind::Operation {
                                    operation: "mul_scalar",
                                    members: &[
                                        qp::GraphMember {
                                            path: ::core::option::Option::None,
                                            object_type: "mul_scalar",
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
                    path: "dequant",
                    inputs: &[4usize],
                    outputs: &[8usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "dequant",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "dequant",
                            },
                        ],
                        domain_in: qp::Domain::Int8,
                        domain_out: qp::Domain::Float,
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
            outputs: &[7usize, 8usize],
        };
        const FUSIONS: &'static [&'static [&'static ::core::primitive::str]] = &[];
        fn trace(
            &self,
            tracer: &mut qp::Tracer<'_>,
            (a, b): (qp::Value, qp::Value),
        ) -> qp::Result<(qp::Value, qp::Value)> {
            let (c, d) = tracer
                .scope(
                    qp::Site {
                        path: ::core::format_args!("left"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    |tracer| <B as qp::Module>::trace(&self.left, tracer, (a, b)),
                )?;
            let c_1 = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("fc"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::layer(
                            ::core::format_args!("fc"),
                            <Linear as qp::IsLayer<
                                ::qcore::ops::Linear,
                            >>::as_layer(&self.fc),
                        ),
                    ],
                    &mut [c],
                )?;
            let d_1 = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("fc"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::layer(
                            ::core::format_args!("fc"),
                            <Linear as qp::IsLayer<
                                ::qcore::ops::Linear,
                            >>::as_layer(&self.fc),
                        ),
                    ],
                    &mut [d],
                )?;
            let e = match self.swap {
                true => {
                    let c_times_scalar = tracer
                        .call(
                            qp::Site {
                                path: ::core::format_args!("c_times_scalar"),
                                skip: false,
                                qconfig: ::core::option::Option::None,
                            },
                            &[
                                qp::Member::function(
                                    ::core::format_args!("c_times_scalar"),
                                    "mul_scalar",
                                    &qp::ops::mul_scalar(2.0)
                                        .map_err(|error| error.in_layer("c_times_scalar"))?,
                                ),
                            ],
                            &mut [::core::clone::Clone::clone(&c_1)],
                        )?;
                    c_times_scalar
                }
                false => d_1,
            };
            let dequant = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("dequant"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("dequant"),
                            "dequant",
                            &qp::ops::dequant()
                                .map_err(|error| error.in_layer("dequant"))?,
                        ),
                    ],
                    &mut [c_1],
                )?;
            ::core::result::Result::Ok((e, dequant))
        }
        fn loaders(loaders: &mut qp::Loaders) {
            <B as qp::Module>::loaders(loaders);
        }
    }
};
