#[automatically_derived]
impl Stage {
    #[allow(clippy::missing_errors_doc)]
    fn forward(
        &self,
        x: impl ::core::convert::Into<::qcore::__private::Tensor>,
    ) -> ::qcore::__private::Result<::qcore::__private::Tensor> {
        <Self as ::qcore::__private::Quantizable>::run(
            self,
            ::core::convert::Into::<::qcore::__private::Tensor>::into(x),
        )
    }
    /// The graph after each pass of the macro.
    pub const DUMP: &'static str = "# after lowering\n%0 = input x\n%1 = max_pool2d self.max_pool2d(%0; 3, 2, (1, 1))\n%6 = for i in self.layers (%2 = %1) {\n  %3 = model BasicBlock self.layers.{i}(%2)\n  %4 = add self.block_plus_x(%3, %2)\n  %5 = relu self.relu(%4)\n  next %5\n}\n%7 = flatten self.flatten(%6; 1)\n%8 = linear self.fc(%7)\nreturn %8\n\n# after fusion\n%0 = input x\n%1 = max_pool2d self.max_pool2d(%0; 3, 2, (1, 1))\n%5 = for i in self.layers (%2 = %1) {\n  %3 = model BasicBlock self.layers.{i}(%2)\n  %4 = add_relu self.block_plus_x+relu(%3, %2)\n  next %4\n}\n%6 = flatten self.flatten(%5; 1)\n%7 = linear self.fc(%6)\nreturn %7\n\n# after stubs\nquantize %0 for max_pool2d\ndequantize %6 for fc\n%7 is float: its field is marked `#[quantizable(skip)]`\n";
}
/// [`Stage`] with fused operations and observers: made by `prepare`.
#[allow(dead_code, clippy::all, clippy::pedantic)]
struct StagePrepared {
    max_pool2d: ::qcore::__private::PreparedOp<::qcore::__private::op::MaxPool2d>,
    layers: ::std::vec::Vec<StagePreparedLayers>,
    flatten: ::qcore::__private::PreparedOp<::qcore::__private::op::Flatten>,
    fc: ::qcore::__private::PreparedOp<<Linear as ::qcore::__private::Layer>::Op>,
}
#[allow(dead_code, clippy::all, clippy::pedantic)]
struct StagePreparedLayers {
    block: <BasicBlock as ::qcore::__private::Quantizable>::Prepared,
    block_plus_x: ::qcore::__private::PreparedOp<::qcore::__private::op::Add>,
}
/// [`Stage`] in int8: made by `convert`.
#[allow(dead_code, clippy::all, clippy::pedantic)]
struct StageConverted {
    max_pool2d: ::qcore::__private::ConvertedOp<::qcore::__private::op::MaxPool2d>,
    layers: ::std::vec::Vec<StageConvertedLayers>,
    flatten: ::qcore::__private::ConvertedOp<::qcore::__private::op::Flatten>,
    fc: ::qcore::__private::ConvertedOp<<Linear as ::qcore::__private::Layer>::Op>,
}
#[allow(dead_code, clippy::all, clippy::pedantic)]
struct StageConvertedLayers {
    block: <BasicBlock as ::qcore::__private::Quantizable>::Converted,
    block_plus_x: ::qcore::__private::ConvertedOp<::qcore::__private::op::Add>,
}
const _: () = {
    const _: () = ::core::assert!(
        ::qcore::__private::same_kind(< Linear as ::qcore::__private::Layer > ::KIND,
        "Linear"),
        "this `Linear` is not `qcore::Linear`: `#[quantizable]` knows layers by their names, so a type of another crate needs another name here"
    );
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Parameters for Stage {
        fn parameters(
            &self,
            path: &str,
            visit: &mut dyn ::core::ops::FnMut(
                ::std::string::String,
                &::qcore::__private::Tensor,
            ),
        ) {
            ::qcore::__private::Parameters::parameters(
                &self.layers,
                &::qcore::__private::join(path, "layers"),
                visit,
            );
            ::qcore::__private::Parameters::parameters(
                &self.fc,
                &::qcore::__private::join(path, "fc"),
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
                &mut self.layers,
                &::qcore::__private::join(path, "layers"),
                visit,
            );
            ::qcore::__private::Parameters::parameters_mut(
                &mut self.fc,
                &::qcore::__private::join(path, "fc"),
                visit,
            );
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Quantizable for Stage {
        type Input = ::qcore::__private::Tensor;
        type Output = ::qcore::__private::Tensor;
        type Prepared = StagePrepared;
        type Converted = StageConverted;
        const GRAPH: &'static ::qcore::__private::Graph = &::qcore::__private::Graph {
            model: "Stage",
            inputs: &["x"],
            values: &[
                ::qcore::__private::GraphValue {
                    name: "x",
                    domain: ::qcore::__private::Domain::Float,
                },
                ::qcore::__private::GraphValue {
                    name: "x",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "x",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "block",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "x",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "x",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "flatten",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "fc",
                    domain: ::qcore::__private::Domain::Float,
                },
            ],
            nodes: &[
                ::qcore::__private::GraphNode {
                    path: "",
                    inputs: &[0usize],
                    outputs: &[],
                    kind: ::qcore::__private::GraphNodeKind::Stub {
                        action: ::qcore::__private::StubAction::Quantize,
                        readers: &["max_pool2d"],
                        at_boundary: true,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "max_pool2d",
                    inputs: &[0usize],
                    outputs: &[1usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "max_pool2d",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "max_pool2d",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Int8,
                        domain_out: ::qcore::__private::Domain::Int8,
                        float_reason: ::core::option::Option::None,
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "layers",
                    inputs: &[1usize],
                    outputs: &[5usize],
                    kind: ::qcore::__private::GraphNodeKind::Loop {
                        iterable: "self.layers",
                        carried: &[
                            ::qcore::__private::GraphCarried {
                                initial: 1usize,
                                entry: 2usize,
                                next: 4usize,
                                result: 5usize,
                            },
                        ],
                        body: &[
                            ::qcore::__private::GraphNode {
                                path: "layers.{i}",
                                inputs: &[2usize],
                                outputs: &[3usize],
                                kind: ::qcore::__private::GraphNodeKind::Model {
                                    model: "BasicBlock",
                                    graph: <BasicBlock as ::qcore::__private::Quantizable>::GRAPH,
                                    float_reason: ::core::option::Option::None,
                                },
                            },
                            ::qcore::__private::GraphNode {
                                path: "block_plus_x",
                                inputs: &[3usize, 2usize],
                                outputs: &[4usize],
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
                        ],
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "flatten",
                    inputs: &[5usize],
                    outputs: &[6usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "flatten",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "flatten",
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
                    inputs: &[6usize],
                    outputs: &[],
                    kind: ::qcore::__private::GraphNodeKind::Stub {
                        action: ::qcore::__private::StubAction::Dequantize,
                        readers: &["fc"],
                        at_boundary: false,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "fc",
                    inputs: &[6usize],
                    outputs: &[7usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "linear",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Float,
                        domain_out: ::qcore::__private::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its field is marked `#[quantizable(skip)]`",
                        ),
                        not_fused: ::core::option::Option::None,
                    },
                },
            ],
            outputs: &[7usize],
        };
        const FUSIONS: &'static [&'static [&'static str]] = &[&["add", "relu"]];
        fn run(
            &self,
            x: ::qcore::__private::Tensor,
        ) -> ::qcore::__private::Result<::qcore::__private::Tensor> {
            let x_1 = ::qcore::__private::op::max_pool2d(
                    3,
                    ::core::option::Option::Some(::qcore::__private::pair(2)),
                    ::core::option::Option::Some(::qcore::__private::pair((1, 1))),
                    ::core::option::Option::None,
                    ::core::option::Option::None,
                )
                .and_then(|op| ::qcore::__private::Op::forward(&op, &mut [x]))
                .map_err(|error| error.in_layer("max_pool2d"))?;
            let mut x_2 = x_1;
            for (index_0, block) in ::core::iter::Iterator::enumerate(
                self.layers.iter(),
            ) {
                let block_out = <BasicBlock as ::qcore::__private::Quantizable>::run(
                        &(*block),
                        ::core::clone::Clone::clone(&x_2),
                    )
                    .map_err(|error| {
                        error.in_layer(&::std::format!("layers.{}", index_0))
                    })?;
                let block_plus_x_out = ::qcore::__private::op::add()
                    .and_then(|op| ::qcore::__private::Op::forward(
                        &op,
                        &mut [block_out, x_2],
                    ))
                    .map_err(|error| error.in_layer("block_plus_x"))?;
                let x_3 = ::qcore::__private::op::relu()
                    .and_then(|op| ::qcore::__private::Op::forward(
                        &op,
                        &mut [block_plus_x_out],
                    ))
                    .map_err(|error| error.in_layer("relu"))?;
                x_2 = x_3;
            }
            let x_4 = x_2;
            let flatten_out = ::qcore::__private::op::flatten(
                    ::core::option::Option::Some(1),
                    ::core::option::Option::None,
                )
                .and_then(|op| ::qcore::__private::Op::forward(&op, &mut [x_4]))
                .map_err(|error| error.in_layer("flatten"))?;
            let fc_out = <Linear as ::qcore::__private::Layer>::forward(
                    &self.fc,
                    flatten_out,
                )
                .map_err(|error| error.in_layer("fc"))?;
            ::core::result::Result::Ok(fc_out)
        }
        fn trace(
            &self,
            tracer: &mut ::qcore::__private::Tracer,
            x: ::qcore::__private::Edge,
        ) -> ::qcore::__private::Result<(Self::Prepared, ::qcore::__private::Edge)> {
            let (max_pool2d, x_1) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "max_pool2d",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "max_pool2d",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::op::max_pool2d(
                            3,
                            ::core::option::Option::Some(::qcore::__private::pair(2)),
                            ::core::option::Option::Some(
                                ::qcore::__private::pair((1, 1)),
                            ),
                            ::core::option::Option::None,
                            ::core::option::Option::None,
                        )
                        .map_err(|error| error.in_layer("max_pool2d"))?,
                    &[x],
                )?;
            let mut x_2 = x_1;
            let mut entries_0 = ::std::vec::Vec::new();
            for (index_0, block) in ::core::iter::Iterator::enumerate(
                self.layers.iter(),
            ) {
                let (block, block_out) = tracer
                    .scope(
                        &::std::format!("layers.{}", index_0),
                        |tracer| <BasicBlock as ::qcore::__private::Quantizable>::trace(
                            &(*block),
                            tracer,
                            x_2,
                        ),
                    )
                    .map_err(|error| {
                        error.in_layer(&::std::format!("layers.{}", index_0))
                    })?;
                let (block_plus_x, x_3) = tracer
                    .op(
                        ::qcore::__private::OpSite {
                            name: "block_plus_x",
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
                                .map_err(|error| error.in_layer("block_plus_x"))?,
                        ),
                        &[block_out, x_2],
                    )?;
                entries_0
                    .push(StagePreparedLayers {
                        block: block,
                        block_plus_x: block_plus_x,
                    });
                x_2 = x_3;
            }
            let layers = entries_0;
            let x_4 = x_2;
            let (flatten, flatten_out) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "flatten",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "flatten",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::op::flatten(
                            ::core::option::Option::Some(1),
                            ::core::option::Option::None,
                        )
                        .map_err(|error| error.in_layer("flatten"))?,
                    &[x_4],
                )?;
            let (fc, fc_out) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "fc",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
                            },
                        ],
                        skip: true,
                        qconfig: ::core::option::Option::None,
                    },
                    <Linear as ::qcore::__private::Layer>::op(&self.fc)
                        .map_err(|error| error.in_layer("fc"))?,
                    &[flatten_out],
                )?;
            ::core::result::Result::Ok((
                StagePrepared {
                    max_pool2d: max_pool2d,
                    layers: layers,
                    flatten: flatten,
                    fc: fc,
                },
                fc_out,
            ))
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::PreparedNetwork<Stage> for StagePrepared {
        fn run(
            &self,
            observation: &mut ::qcore::__private::Observation<'_>,
            x: ::qcore::__private::Tensor,
        ) -> ::qcore::__private::Result<::qcore::__private::Tensor> {
            let x_1 = ::qcore::__private::PreparedOp::run(
                &self.max_pool2d,
                observation,
                [x],
            )?;
            let mut x_2 = x_1;
            for entry_0 in &self.layers {
                let block_out = ::qcore::__private::PreparedNetwork::<
                    BasicBlock,
                >::run(&entry_0.block, observation, ::core::clone::Clone::clone(&x_2))?;
                let x_3 = ::qcore::__private::PreparedOp::run(
                    &entry_0.block_plus_x,
                    observation,
                    [block_out, x_2],
                )?;
                x_2 = x_3;
            }
            let x_4 = x_2;
            let flatten_out = ::qcore::__private::PreparedOp::run(
                &self.flatten,
                observation,
                [x_4],
            )?;
            let fc_out = ::qcore::__private::PreparedOp::run(
                &self.fc,
                observation,
                [flatten_out],
            )?;
            ::core::result::Result::Ok(fc_out)
        }
        fn convert(
            &self,
            conversion: &::qcore::__private::Conversion<'_>,
        ) -> ::qcore::__private::Result<StageConverted> {
            ::core::result::Result::Ok(StageConverted {
                max_pool2d: ::qcore::__private::PreparedOp::convert(
                    &self.max_pool2d,
                    conversion,
                )?,
                layers: {
                    let mut made = ::std::vec::Vec::new();
                    for entry in &self.layers {
                        made.push(StageConvertedLayers {
                            block: ::qcore::__private::PreparedNetwork::<
                                BasicBlock,
                            >::convert(&entry.block, conversion)?,
                            block_plus_x: ::qcore::__private::PreparedOp::convert(
                                &entry.block_plus_x,
                                conversion,
                            )?,
                        });
                    }
                    made
                },
                flatten: ::qcore::__private::PreparedOp::convert(
                    &self.flatten,
                    conversion,
                )?,
                fc: ::qcore::__private::PreparedOp::convert(&self.fc, conversion)?,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::core::clone::Clone for StagePrepared {
        fn clone(&self) -> Self {
            Self {
                max_pool2d: ::core::clone::Clone::clone(&self.max_pool2d),
                layers: ::core::clone::Clone::clone(&self.layers),
                flatten: ::core::clone::Clone::clone(&self.flatten),
                fc: ::core::clone::Clone::clone(&self.fc),
            }
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for StagePrepared {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("StagePrepared").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::core::clone::Clone for StagePreparedLayers {
        fn clone(&self) -> Self {
            Self {
                block: ::core::clone::Clone::clone(&self.block),
                block_plus_x: ::core::clone::Clone::clone(&self.block_plus_x),
            }
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::ConvertedNetwork<Stage> for StageConverted {
        fn run(
            &self,
            x: ::qcore::__private::Value,
        ) -> ::qcore::__private::Result<::qcore::__private::Value> {
            let x_1 = ::qcore::__private::ConvertedOp::run(&self.max_pool2d, [x])?;
            let mut x_2 = x_1;
            for entry_0 in &self.layers {
                let block_out = ::qcore::__private::ConvertedNetwork::<
                    BasicBlock,
                >::run(&entry_0.block, ::core::clone::Clone::clone(&x_2))?;
                let x_3 = ::qcore::__private::ConvertedOp::run(
                    &entry_0.block_plus_x,
                    [block_out, x_2],
                )?;
                x_2 = x_3;
            }
            let x_4 = x_2;
            let flatten_out = ::qcore::__private::ConvertedOp::run(
                &self.flatten,
                [x_4],
            )?;
            let fc_out = ::qcore::__private::ConvertedOp::run(&self.fc, [flatten_out])?;
            ::core::result::Result::Ok(fc_out)
        }
        fn visit_weights(
            &self,
            visit: &mut dyn ::core::ops::FnMut(&str, &::qcore::__private::QTensor),
        ) {
            ::qcore::__private::ConvertedOp::visit_weights(&self.max_pool2d, visit);
            for entry_0 in &self.layers {
                ::qcore::__private::ConvertedNetwork::<
                    BasicBlock,
                >::visit_weights(&entry_0.block, visit);
                ::qcore::__private::ConvertedOp::visit_weights(
                    &entry_0.block_plus_x,
                    visit,
                );
            }
            ::qcore::__private::ConvertedOp::visit_weights(&self.flatten, visit);
            ::qcore::__private::ConvertedOp::visit_weights(&self.fc, visit);
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for StageConverted {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("StageConverted").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Record for StageConverted {
        fn save(
            &self,
            archive: &mut ::qcore::__private::ArchiveWriter,
            path: &str,
        ) -> ::qcore::__private::Result<()> {
            ::qcore::__private::Record::save(
                &self.max_pool2d,
                archive,
                &::qcore::__private::join(path, "max_pool2d"),
            )?;
            ::qcore::__private::Record::save(
                &self.layers,
                archive,
                &::qcore::__private::join(path, "layers"),
            )?;
            ::qcore::__private::Record::save(
                &self.flatten,
                archive,
                &::qcore::__private::join(path, "flatten"),
            )?;
            ::qcore::__private::Record::save(
                &self.fc,
                archive,
                &::qcore::__private::join(path, "fc"),
            )?;
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &::qcore::__private::Archive,
            path: &str,
        ) -> ::qcore::__private::Result<Self> {
            ::core::result::Result::Ok(Self {
                max_pool2d: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "max_pool2d"),
                )?,
                layers: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "layers"),
                )?,
                flatten: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "flatten"),
                )?,
                fc: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "fc"),
                )?,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Record for StageConvertedLayers {
        fn save(
            &self,
            archive: &mut ::qcore::__private::ArchiveWriter,
            path: &str,
        ) -> ::qcore::__private::Result<()> {
            ::qcore::__private::Record::save(
                &self.block,
                archive,
                &::qcore::__private::join(path, "block"),
            )?;
            ::qcore::__private::Record::save(
                &self.block_plus_x,
                archive,
                &::qcore::__private::join(path, "block_plus_x"),
            )?;
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &::qcore::__private::Archive,
            path: &str,
        ) -> ::qcore::__private::Result<Self> {
            ::core::result::Result::Ok(Self {
                block: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "block"),
                )?,
                block_plus_x: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "block_plus_x"),
                )?,
            })
        }
    }
};
