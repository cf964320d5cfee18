#[automatically_derived]
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
impl Stage
where
    BasicBlock: qp::Module<Input = qp::Tensor, Output = qp::Tensor>,
{
    fn forward(
        &self,
        x: impl ::core::convert::Into<qp::Tensor>,
    ) -> qp::Result<qp::Tensor> {
        <Self as qp::Module>::run(self, ::core::convert::Into::<qp::Tensor>::into(x))
    }
    /// The graph after each pass of the macro.
    pub const DUMP: &'static ::core::primitive::str = "# after lowering\n%0 = input x\n%1 = max_pool2d self.max_pool2d(%0; 3, 2, (1, 1))\n%6 = for i in self.layers (%2 = %1) {\n  %3 = model BasicBlock self.layers.{i}(%2)\n  %4 = add self.block_plus_x(%3, %2)\n  %5 = relu self.relu(%4)\n  next %5\n}\n%7 = flatten self.flatten(%6; 1)\n%8 = linear self.fc(%7)\nreturn %8\n\n# after fusion\n%0 = input x\n%1 = max_pool2d self.max_pool2d(%0; 3, 2, (1, 1))\n%5 = for i in self.layers (%2 = %1) {\n  %3 = model BasicBlock self.layers.{i}(%2)\n  %4 = add_relu self.block_plus_x+relu(%3, %2)\n  next %4\n}\n%6 = flatten self.flatten(%5; 1)\n%7 = linear self.fc(%6)\nreturn %7\n\n# after stubs\nquantize %0 for max_pool2d\ndequantize %6 for fc\n%7 is float: its field is marked `#[quantizable(skip)]`\n";
}
/// [`Stage`] with observers: made by `prepare`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
type StagePrepared = qp::Prepared<Stage>;
/// [`Stage`] in int8: made by `convert`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
type StageConverted = qp::Converted<Stage>;
const _: () = {
    const _: ::core::option::Option<fn(Tensor, Tensor)> = ::core::option::Option::None;
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    fn functions() {
        qp::named::max_pool2d(::qcore::functional::max_pool2d).is_named(&max_pool2d);
        qp::Operation(::qcore::functional::relu).is_named(&relu);
        qp::Operation(::qcore::functional::flatten)
            .is_named(&::qcore::functional::flatten);
    }
    #[automatically_derived]
    impl qp::HasForward for Stage {}
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Parameters for Stage
    where
        BasicBlock: qp::Module<Input = qp::Tensor, Output = qp::Tensor>,
    {
        fn parameters(
            &self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &qp::Tensor),
        ) {
            qp::Parameters::parameters(&self.layers, &qp::join(path, "layers"), visit);
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
                &mut self.layers,
                &qp::join(path, "layers"),
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
            qp::Parameters::check(&self.layers, &qp::join(path, "layers"))?;
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
            qp::add_owner(
                &self.layers,
                &qp::join(path, "layers"),
                key,
                "Stage.layers",
                owners,
            );
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Module for Stage
    where
        BasicBlock: qp::Module<Input = qp::Tensor, Output = qp::Tensor>,
    {
        const NAME: &'static ::core::primitive::str = "Stage";
        type Input = qp::Tensor;
        type Output = qp::Tensor;
        const GRAPH: &'static qp::Graph = &qp::Graph {
            model: "Stage",
            inputs: &["x"],
            values: &[
                qp::GraphValue {
                    name: "x",
                    domain: qp::Domain::Float,
                },
                qp::GraphValue {
                    name: "x",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "x",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "block",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "x",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "x",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "flatten",
                    domain: qp::Domain::Int8,
                },
                qp::GraphValue {
                    name: "fc",
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
                        readers: &["max_pool2d"],
                        at_boundary: true,
                    },
                },
                qp::GraphNode {
                    path: "max_pool2d",
                    inputs: &[0usize],
                    outputs: &[1usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "max_pool2d",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "max_pool2d",
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
                    path: "layers",
                    inputs: &[1usize],
                    outputs: &[5usize],
                    kind: qp::GraphNodeKind::Loop {
                        iterable: "self.layers",
                        carried: &[
                            qp::GraphCarried {
                                initial: 1usize,
                                entry: 2usize,
                                next: 4usize,
                                result: 5usize,
                            },
                        ],
                        body: &[
                            qp::GraphNode {
                                path: "layers.{i}",
                                inputs: &[2usize],
                                outputs: &[3usize],
                                kind: qp::GraphNodeKind::Model {
                                    model: "BasicBlock",
                                    graph: <BasicBlock as qp::Module>::GRAPH,
                                    float_reason: ::core::option::Option::None,
                                },
                            },
                            qp::GraphNode {
                                path: "block_plus_x",
                                inputs: &[3usize, 2usize],
                                outputs: &[4usize],
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
                                    computed_with: &[],
                                },
                            },
                        ],
                    },
                },
                qp::GraphNode {
                    path: "flatten",
                    inputs: &[5usize],
                    outputs: &[6usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "flatten",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "flatten",
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
                    inputs: &[6usize],
                    outputs: &[],
                    kind: qp::GraphNodeKind::Stub {
                        action: qp::StubAction::Dequantize,
                        readers: &["fc"],
                        at_boundary: false,
                    },
                },
                qp::GraphNode {
                    path: "fc",
                    inputs: &[6usize],
                    outputs: &[7usize],
                    kind: qp::GraphNodeKind::Operation {
                        operation: "linear",
                        members: &[
                            qp::GraphMember {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
                            },
                        ],
                        domain_in: qp::Domain::Float,
                        domain_out: qp::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its field is marked `#[quantizable(skip)]`",
                        ),
                        not_fused: ::core::option::Option::None,
                        computed_with: &[],
                    },
                },
            ],
            outputs: &[7usize],
        };
        const FUSIONS: &'static [&'static [&'static ::core::primitive::str]] = &[
            &["add", "relu"],
        ];
        fn trace(
            &self,
            tracer: &mut qp::Tracer<'_>,
            x: qp::Value,
        ) -> qp::Result<qp::Value> {
            let x_1 = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("max_pool2d"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("max_pool2d"),
                            "max_pool2d",
                            &qp::ops::max_pool2d(
                                    3,
                                    ::core::option::Option::Some(qp::pair(2)),
                                    ::core::option::Option::Some(qp::pair((1, 1))),
                                    ::core::option::Option::None,
                                    ::core::option::Option::None,
                                )
                                .map_err(|error| error.in_layer("max_pool2d"))?,
                        ),
                    ],
                    &mut [x],
                )?;
            let mut x_2 = x_1;
            for (index_0, block) in ::core::iter::Iterator::enumerate(
                self.layers.iter(),
            ) {
                let block = tracer
                    .scope(
                        qp::Site {
                            path: ::core::format_args!("layers.{}", index_0),
                            skip: false,
                            qconfig: ::core::option::Option::None,
                        },
                        |tracer| <BasicBlock as qp::Module>::trace(
                            &(*block),
                            tracer,
                            ::core::clone::Clone::clone(&x_2),
                        ),
                    )?;
                let x_3 = tracer
                    .call(
                        qp::Site {
                            path: ::core::format_args!("block_plus_x"),
                            skip: false,
                            qconfig: ::core::option::Option::None,
                        },
                        &[
                            qp::Member::function(
                                ::core::format_args!("block_plus_x"),
                                "add",
                                &qp::ops::add()
                                    .map_err(|error| error.in_layer("block_plus_x"))?,
                            ),
                            qp::Member::function(
                                ::core::format_args!("relu"),
                                "relu",
                                &qp::ops::relu().map_err(|error| error.in_layer("relu"))?,
                            ),
                        ],
                        &mut [block, x_2],
                    )?;
                x_2 = x_3;
            }
            let x_4 = x_2;
            let flatten = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("flatten"),
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    &[
                        qp::Member::function(
                            ::core::format_args!("flatten"),
                            "flatten",
                            &qp::ops::flatten(
                                    ::core::option::Option::Some(1),
                                    ::core::option::Option::None,
                                )
                                .map_err(|error| error.in_layer("flatten"))?,
                        ),
                    ],
                    &mut [x_4],
                )?;
            let fc = tracer
                .call(
                    qp::Site {
                        path: ::core::format_args!("fc"),
                        skip: true,
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
                    &mut [flatten],
                )?;
            ::core::result::Result::Ok(fc)
        }
        fn loaders(loaders: &mut qp::Loaders) {
            <BasicBlock as qp::Module>::loaders(loaders);
        }
        fn field(&self, name: &'static ::core::primitive::str) -> qp::Field {
            match name {
                "fc" => {
                    qp::Field {
                        key: "fc",
                        skip: true,
                        qconfig: ::core::option::Option::None,
                    }
                }
                name => qp::Field::new(name),
            }
        }
    }
};
