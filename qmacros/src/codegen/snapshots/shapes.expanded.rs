#[automatically_derived]
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
impl Shuffle {
    fn forward(
        &self,
        x: impl ::core::convert::Into<qp::Tensor>,
    ) -> qp::Result<qp::Tensor> {
        <Self as qp::Quantizable>::run(
            self,
            ::core::convert::Into::<qp::Tensor>::into(x),
        )
    }
}
/// [`Shuffle`] with fused operations and observers: made by `prepare`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
struct ShufflePrepared {
    chunk_0: qp::PreparedOp<qp::op::Chunk>,
    chunk_1: qp::PreparedOp<qp::op::Chunk>,
    b_cat_a: qp::PreparedOp<qp::op::Cat>,
    reshape: qp::PreparedOp<qp::op::Reshape>,
    permute: qp::PreparedOp<qp::op::Permute>,
}
/// [`Shuffle`] in int8: made by `convert`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
struct ShuffleConverted {
    chunk_0: qp::ConvertedOp<qp::op::Chunk>,
    chunk_1: qp::ConvertedOp<qp::op::Chunk>,
    b_cat_a: qp::ConvertedOp<qp::op::Cat>,
    reshape: qp::ConvertedOp<qp::op::Reshape>,
    permute: qp::ConvertedOp<qp::op::Permute>,
}
const _: () = {
    const _: ::core::option::Option<fn(Tensor, Tensor)> = ::core::option::Option::None;
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
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Quantizable for Shuffle {
        type Input = qp::Tensor;
        type Output = qp::Tensor;
        type Prepared = ShufflePrepared;
        type Converted = ShuffleConverted;
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
        fn run(&self, x: qp::Tensor) -> qp::Result<qp::Tensor> {
            let a = qp::op::chunk(2, ::core::option::Option::Some(1), 0usize)
                .and_then(|op| qp::Op::forward(
                    &op,
                    &mut [::core::clone::Clone::clone(&x)],
                ))
                .map_err(|error| error.in_layer("chunk_0"))?;
            let b = qp::op::chunk(2, ::core::option::Option::Some(1), 1usize)
                .and_then(|op| qp::Op::forward(
                    &op,
                    &mut [::core::clone::Clone::clone(&x)],
                ))
                .map_err(|error| error.in_layer("chunk_1"))?;
            let y = qp::op::cat(::core::option::Option::Some(1))
                .and_then(|op| qp::Op::forward(&op, &mut [b, a]))
                .map_err(|error| error.in_layer("b_cat_a"))?;
            let y_1 = {
                let sizes = [x.size(0)?];
                qp::op::reshape(
                        ::std::vec![
                            qp::Extent::Given(0usize), qp::Extent::from(self.groups),
                            qp::Extent::from(- 1)
                        ],
                    )
                    .and_then(|op| op.forward_sized(&mut [y], &sizes))
                    .map_err(|error| error.in_layer("reshape"))?
            };
            let permute_out = qp::op::permute([0, 2, 1])
                .and_then(|op| qp::Op::forward(&op, &mut [y_1]))
                .map_err(|error| error.in_layer("permute"))?;
            ::core::result::Result::Ok(permute_out)
        }
        fn trace(
            &self,
            tracer: &mut qp::Tracer,
            x: qp::Edge,
        ) -> qp::Result<(Self::Prepared, qp::Edge)> {
            let (chunk_0, a) = tracer
                .op(
                    qp::OpSite {
                        name: "chunk_0",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "chunk",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::op::chunk(2, ::core::option::Option::Some(1), 0usize)
                        .map_err(|error| error.in_layer("chunk_0"))?,
                    &[x],
                )?;
            let (chunk_1, b) = tracer
                .op(
                    qp::OpSite {
                        name: "chunk_1",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "chunk",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::op::chunk(2, ::core::option::Option::Some(1), 1usize)
                        .map_err(|error| error.in_layer("chunk_1"))?,
                    &[x],
                )?;
            let (b_cat_a, y) = tracer
                .op(
                    qp::OpSite {
                        name: "b_cat_a",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "cat",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::op::cat(::core::option::Option::Some(1))
                        .map_err(|error| error.in_layer("b_cat_a"))?,
                    &[b, a],
                )?;
            let (reshape, y_1) = tracer
                .op(
                    qp::OpSite {
                        name: "reshape",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "reshape",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::op::reshape(
                            ::std::vec![
                                qp::Extent::Given(0usize), qp::Extent::from(self.groups),
                                qp::Extent::from(- 1)
                            ],
                        )
                        .map_err(|error| error.in_layer("reshape"))?,
                    &[y],
                )?;
            let (permute, permute_out) = tracer
                .op(
                    qp::OpSite {
                        name: "permute",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "permute",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::op::permute([0, 2, 1])
                        .map_err(|error| error.in_layer("permute"))?,
                    &[y_1],
                )?;
            ::core::result::Result::Ok((
                ShufflePrepared {
                    chunk_0: chunk_0,
                    chunk_1: chunk_1,
                    b_cat_a: b_cat_a,
                    reshape: reshape,
                    permute: permute,
                },
                permute_out,
            ))
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::PreparedNetwork<Shuffle> for ShufflePrepared {
        fn run(
            &self,
            observation: &mut qp::Observation<'_>,
            x: qp::Tensor,
        ) -> qp::Result<qp::Tensor> {
            let a = qp::PreparedOp::run(
                &self.chunk_0,
                observation,
                [::core::clone::Clone::clone(&x)],
            )?;
            let b = qp::PreparedOp::run(
                &self.chunk_1,
                observation,
                [::core::clone::Clone::clone(&x)],
            )?;
            let y = qp::PreparedOp::run(&self.b_cat_a, observation, [b, a])?;
            let y_1 = {
                let sizes = [x.size(0)?];
                qp::PreparedOp::run_sized(&self.reshape, observation, y, &sizes)?
            };
            let permute_out = qp::PreparedOp::run(&self.permute, observation, [y_1])?;
            ::core::result::Result::Ok(permute_out)
        }
        fn convert(
            &self,
            conversion: &qp::Conversion<'_>,
        ) -> qp::Result<ShuffleConverted> {
            ::core::result::Result::Ok(ShuffleConverted {
                chunk_0: qp::PreparedOp::convert(&self.chunk_0, conversion)?,
                chunk_1: qp::PreparedOp::convert(&self.chunk_1, conversion)?,
                b_cat_a: qp::PreparedOp::convert(&self.b_cat_a, conversion)?,
                reshape: qp::PreparedOp::convert(&self.reshape, conversion)?,
                permute: qp::PreparedOp::convert(&self.permute, conversion)?,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl ::core::clone::Clone for ShufflePrepared {
        fn clone(&self) -> Self {
            Self {
                chunk_0: ::core::clone::Clone::clone(&self.chunk_0),
                chunk_1: ::core::clone::Clone::clone(&self.chunk_1),
                b_cat_a: ::core::clone::Clone::clone(&self.b_cat_a),
                reshape: ::core::clone::Clone::clone(&self.reshape),
                permute: ::core::clone::Clone::clone(&self.permute),
            }
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl ::core::fmt::Debug for ShufflePrepared {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("ShufflePrepared").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::ConvertedNetwork<Shuffle> for ShuffleConverted {
        fn run(&self, x: qp::Value) -> qp::Result<qp::Value> {
            let a = qp::ConvertedOp::run(
                &self.chunk_0,
                [::core::clone::Clone::clone(&x)],
            )?;
            let b = qp::ConvertedOp::run(
                &self.chunk_1,
                [::core::clone::Clone::clone(&x)],
            )?;
            let y = qp::ConvertedOp::run(&self.b_cat_a, [b, a])?;
            let y_1 = {
                let sizes = [x.size(0)?];
                qp::ConvertedOp::run_sized(&self.reshape, y, &sizes)?
            };
            let permute_out = qp::ConvertedOp::run(&self.permute, [y_1])?;
            ::core::result::Result::Ok(permute_out)
        }
        fn visit_weights(
            &self,
            visit: &mut dyn ::core::ops::FnMut(&::core::primitive::str, &qp::QTensor),
        ) {
            qp::ConvertedOp::visit_weights(&self.chunk_0, visit);
            qp::ConvertedOp::visit_weights(&self.chunk_1, visit);
            qp::ConvertedOp::visit_weights(&self.b_cat_a, visit);
            qp::ConvertedOp::visit_weights(&self.reshape, visit);
            qp::ConvertedOp::visit_weights(&self.permute, visit);
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl ::core::fmt::Debug for ShuffleConverted {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("ShuffleConverted").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl qp::Record for ShuffleConverted {
        fn save(
            &self,
            archive: &mut qp::ArchiveWriter,
            path: &::core::primitive::str,
        ) -> qp::Result<()> {
            qp::Record::save(&self.chunk_0, archive, &qp::join(path, "chunk_0"))?;
            qp::Record::save(&self.chunk_1, archive, &qp::join(path, "chunk_1"))?;
            qp::Record::save(&self.b_cat_a, archive, &qp::join(path, "b_cat_a"))?;
            qp::Record::save(&self.reshape, archive, &qp::join(path, "reshape"))?;
            qp::Record::save(&self.permute, archive, &qp::join(path, "permute"))?;
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &qp::Archive,
            path: &::core::primitive::str,
        ) -> qp::Result<Self> {
            ::core::result::Result::Ok(Self {
                chunk_0: qp::Record::load(archive, &qp::join(path, "chunk_0"))?,
                chunk_1: qp::Record::load(archive, &qp::join(path, "chunk_1"))?,
                b_cat_a: qp::Record::load(archive, &qp::join(path, "b_cat_a"))?,
                reshape: qp::Record::load(archive, &qp::join(path, "reshape"))?,
                permute: qp::Record::load(archive, &qp::join(path, "permute"))?,
            })
        }
    }
};
