#[automatically_derived]
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
impl Stage
where
    BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
{
    fn forward(
        &self,
        x: impl ::core::convert::Into<qp::Tensor>,
    ) -> qp::Result<qp::Tensor> {
        <Self as qp::Quantizable>::run(
            self,
            ::core::convert::Into::<qp::Tensor>::into(x),
        )
    }
    /// The graph after each pass of the macro.
    pub const DUMP: &'static ::core::primitive::str = "# after lowering\n%0 = input x\n%1 = max_pool2d self.max_pool2d(%0; 3, 2, (1, 1))\n%6 = for i in self.layers (%2 = %1) {\n  %3 = model BasicBlock self.layers.{i}(%2)\n  %4 = add self.block_plus_x(%3, %2)\n  %5 = relu self.relu(%4)\n  next %5\n}\n%7 = flatten self.flatten(%6; 1)\n%8 = linear self.fc(%7)\nreturn %8\n\n# after fusion\n%0 = input x\n%1 = max_pool2d self.max_pool2d(%0; 3, 2, (1, 1))\n%5 = for i in self.layers (%2 = %1) {\n  %3 = model BasicBlock self.layers.{i}(%2)\n  %4 = add_relu self.block_plus_x+relu(%3, %2)\n  next %4\n}\n%6 = flatten self.flatten(%5; 1)\n%7 = linear self.fc(%6)\nreturn %7\n\n# after stubs\nquantize %0 for max_pool2d\ndequantize %6 for fc\n%7 is float: its field is marked `#[quantizable(skip)]`\n";
}
/// [`Stage`] with fused operations and observers: made by `prepare`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
struct StagePrepared
where
    BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
{
    max_pool2d: qp::PreparedOp<qp::op::MaxPool2d>,
    layers: ::std::vec::Vec<StagePreparedLayers>,
    flatten: qp::PreparedOp<qp::op::Flatten>,
    fc: qp::PreparedOp<<::qcore::layers::Linear as qp::Layer>::Op>,
}
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
struct StagePreparedLayers
where
    BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
{
    block: <BasicBlock as qp::Quantizable>::Prepared,
    block_plus_x: qp::PreparedOp<qp::op::Add>,
}
/// [`Stage`] in int8: made by `convert`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
struct StageConverted
where
    BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
{
    max_pool2d: qp::ConvertedOp<qp::op::MaxPool2d>,
    layers: ::std::vec::Vec<StageConvertedLayers>,
    flatten: qp::ConvertedOp<qp::op::Flatten>,
    fc: qp::ConvertedOp<<::qcore::layers::Linear as qp::Layer>::Op>,
}
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
struct StageConvertedLayers
where
    BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
{
    block: <BasicBlock as qp::Quantizable>::Converted,
    block_plus_x: qp::ConvertedOp<qp::op::Add>,
}
const _: () = {
    const _: ::core::option::Option<fn(Tensor, Tensor)> = ::core::option::Option::None;
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Parameters for Stage
    where
        BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
    {
        fn parameters(
            &self,
            path: &::core::primitive::str,
            visit: &mut dyn ::core::ops::FnMut(::std::string::String, &qp::Tensor),
        ) {
            qp::Parameters::parameters(&self.layers, &qp::join(path, "layers"), visit);
            qp::Parameters::parameters(
                <Linear as qp::IsLayer<::qcore::layers::Linear>>::as_layer(&self.fc),
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
                    ::qcore::layers::Linear,
                >>::as_layer_mut(&mut self.fc),
                &qp::join(path, "fc"),
                visit,
            );
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Quantizable for Stage
    where
        BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
    {
        type Input = qp::Tensor;
        type Output = qp::Tensor;
        type Prepared = StagePrepared;
        type Converted = StageConverted;
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
                                    graph: <BasicBlock as qp::Quantizable>::GRAPH,
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
        fn run(&self, x: qp::Tensor) -> qp::Result<qp::Tensor> {
            let x_1 = qp::op::max_pool2d(
                    3,
                    ::core::option::Option::Some(qp::pair(2)),
                    ::core::option::Option::Some(qp::pair((1, 1))),
                    ::core::option::Option::None,
                    ::core::option::Option::None,
                )
                .and_then(|op| qp::Op::forward(&op, &mut [x]))
                .map_err(|error| error.in_layer("max_pool2d"))?;
            let mut x_2 = x_1;
            for (index_0, block) in ::core::iter::Iterator::enumerate(
                self.layers.iter(),
            ) {
                let block_out = <BasicBlock as qp::Quantizable>::run(
                        &(*block),
                        ::core::clone::Clone::clone(&x_2),
                    )
                    .map_err(|error| {
                        error.in_layer(&::std::format!("layers.{}", index_0))
                    })?;
                let block_plus_x_out = qp::op::add()
                    .and_then(|op| qp::Op::forward(&op, &mut [block_out, x_2]))
                    .map_err(|error| error.in_layer("block_plus_x"))?;
                let x_3 = qp::op::relu()
                    .and_then(|op| qp::Op::forward(&op, &mut [block_plus_x_out]))
                    .map_err(|error| error.in_layer("relu"))?;
                x_2 = x_3;
            }
            let x_4 = x_2;
            let flatten_out = qp::op::flatten(
                    ::core::option::Option::Some(1),
                    ::core::option::Option::None,
                )
                .and_then(|op| qp::Op::forward(&op, &mut [x_4]))
                .map_err(|error| error.in_layer("flatten"))?;
            let fc_out = qp::Layer::forward(
                    <Linear as qp::IsLayer<::qcore::layers::Linear>>::as_layer(&self.fc),
                    flatten_out,
                )
                .map_err(|error| error.in_layer("fc"))?;
            ::core::result::Result::Ok(fc_out)
        }
        fn trace(
            &self,
            tracer: &mut qp::Tracer,
            x: qp::Edge,
        ) -> qp::Result<(Self::Prepared, qp::Edge)> {
            let (max_pool2d, x_1) = tracer
                .op(
                    qp::OpSite {
                        name: "max_pool2d",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "max_pool2d",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::op::max_pool2d(
                            3,
                            ::core::option::Option::Some(qp::pair(2)),
                            ::core::option::Option::Some(qp::pair((1, 1))),
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
                        |tracer| <BasicBlock as qp::Quantizable>::trace(
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
                        qp::OpSite {
                            name: "block_plus_x",
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
                            qp::op::add()
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
                    qp::OpSite {
                        name: "flatten",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "flatten",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::op::flatten(
                            ::core::option::Option::Some(1),
                            ::core::option::Option::None,
                        )
                        .map_err(|error| error.in_layer("flatten"))?,
                    &[x_4],
                )?;
            let (fc, fc_out) = tracer
                .op(
                    qp::OpSite {
                        name: "fc",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
                            },
                        ],
                        skip: true,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::Layer::op(
                            <Linear as qp::IsLayer<
                                ::qcore::layers::Linear,
                            >>::as_layer(&self.fc),
                        )
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
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::PreparedNetwork<Stage> for StagePrepared
    where
        BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
    {
        fn run(
            &self,
            observation: &mut qp::Observation<'_>,
            x: qp::Tensor,
        ) -> qp::Result<qp::Tensor> {
            let x_1 = qp::PreparedOp::run(&self.max_pool2d, observation, [x])?;
            let mut x_2 = x_1;
            for entry_0 in &self.layers {
                let block_out = qp::PreparedNetwork::<
                    BasicBlock,
                >::run(&entry_0.block, observation, ::core::clone::Clone::clone(&x_2))?;
                let x_3 = qp::PreparedOp::run(
                    &entry_0.block_plus_x,
                    observation,
                    [block_out, x_2],
                )?;
                x_2 = x_3;
            }
            let x_4 = x_2;
            let flatten_out = qp::PreparedOp::run(&self.flatten, observation, [x_4])?;
            let fc_out = qp::PreparedOp::run(&self.fc, observation, [flatten_out])?;
            ::core::result::Result::Ok(fc_out)
        }
        fn convert(
            &self,
            conversion: &qp::Conversion<'_>,
        ) -> qp::Result<StageConverted> {
            ::core::result::Result::Ok(StageConverted {
                max_pool2d: qp::PreparedOp::convert(&self.max_pool2d, conversion)?,
                layers: {
                    let mut made = ::std::vec::Vec::new();
                    for entry in &self.layers {
                        made.push(StageConvertedLayers {
                            block: qp::PreparedNetwork::<
                                BasicBlock,
                            >::convert(&entry.block, conversion)?,
                            block_plus_x: qp::PreparedOp::convert(
                                &entry.block_plus_x,
                                conversion,
                            )?,
                        });
                    }
                    made
                },
                flatten: qp::PreparedOp::convert(&self.flatten, conversion)?,
                fc: qp::PreparedOp::convert(&self.fc, conversion)?,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl ::core::clone::Clone for StagePrepared
    where
        BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
    {
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
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl ::core::fmt::Debug for StagePrepared
    where
        BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
    {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("StagePrepared").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl ::core::clone::Clone for StagePreparedLayers
    where
        BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
    {
        fn clone(&self) -> Self {
            Self {
                block: ::core::clone::Clone::clone(&self.block),
                block_plus_x: ::core::clone::Clone::clone(&self.block_plus_x),
            }
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::ConvertedNetwork<Stage> for StageConverted
    where
        BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
    {
        fn run(&self, x: qp::Value) -> qp::Result<qp::Value> {
            let x_1 = qp::ConvertedOp::run(&self.max_pool2d, [x])?;
            let mut x_2 = x_1;
            for entry_0 in &self.layers {
                let block_out = qp::ConvertedNetwork::<
                    BasicBlock,
                >::run(&entry_0.block, ::core::clone::Clone::clone(&x_2))?;
                let x_3 = qp::ConvertedOp::run(&entry_0.block_plus_x, [block_out, x_2])?;
                x_2 = x_3;
            }
            let x_4 = x_2;
            let flatten_out = qp::ConvertedOp::run(&self.flatten, [x_4])?;
            let fc_out = qp::ConvertedOp::run(&self.fc, [flatten_out])?;
            ::core::result::Result::Ok(fc_out)
        }
        fn visit_weights(
            &self,
            visit: &mut dyn ::core::ops::FnMut(&::core::primitive::str, &qp::QTensor),
        ) {
            qp::ConvertedOp::visit_weights(&self.max_pool2d, visit);
            for entry_0 in &self.layers {
                qp::ConvertedNetwork::<BasicBlock>::visit_weights(&entry_0.block, visit);
                qp::ConvertedOp::visit_weights(&entry_0.block_plus_x, visit);
            }
            qp::ConvertedOp::visit_weights(&self.flatten, visit);
            qp::ConvertedOp::visit_weights(&self.fc, visit);
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl ::core::fmt::Debug for StageConverted
    where
        BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
    {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("StageConverted").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Record for StageConverted
    where
        BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
    {
        fn save(
            &self,
            archive: &mut qp::ArchiveWriter,
            path: &::core::primitive::str,
        ) -> qp::Result<()> {
            qp::Record::save(&self.max_pool2d, archive, &qp::join(path, "max_pool2d"))?;
            qp::Record::save(&self.layers, archive, &qp::join(path, "layers"))?;
            qp::Record::save(&self.flatten, archive, &qp::join(path, "flatten"))?;
            qp::Record::save(&self.fc, archive, &qp::join(path, "fc"))?;
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &qp::Archive,
            path: &::core::primitive::str,
        ) -> qp::Result<Self> {
            ::core::result::Result::Ok(Self {
                max_pool2d: qp::Record::load(archive, &qp::join(path, "max_pool2d"))?,
                layers: qp::Record::load(archive, &qp::join(path, "layers"))?,
                flatten: qp::Record::load(archive, &qp::join(path, "flatten"))?,
                fc: qp::Record::load(archive, &qp::join(path, "fc"))?,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Record for StageConvertedLayers
    where
        BasicBlock: qp::Quantizable<Input = qp::Tensor, Output = qp::Tensor>,
    {
        fn save(
            &self,
            archive: &mut qp::ArchiveWriter,
            path: &::core::primitive::str,
        ) -> qp::Result<()> {
            qp::Record::save(&self.block, archive, &qp::join(path, "block"))?;
            qp::Record::save(
                &self.block_plus_x,
                archive,
                &qp::join(path, "block_plus_x"),
            )?;
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &qp::Archive,
            path: &::core::primitive::str,
        ) -> qp::Result<Self> {
            ::core::result::Result::Ok(Self {
                block: qp::Record::load(archive, &qp::join(path, "block"))?,
                block_plus_x: qp::Record::load(archive, &qp::join(path, "block_plus_x"))?,
            })
        }
    }
};
