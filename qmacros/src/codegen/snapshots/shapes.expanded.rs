#[automatically_derived]
impl Shuffle {
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
}
/// [`Shuffle`] with fused operations and observers: made by `prepare`.
#[allow(dead_code, clippy::all, clippy::pedantic)]
struct ShufflePrepared {
    chunk_0: ::qcore::__private::PreparedOp<::qcore::__private::op::Chunk>,
    chunk_1: ::qcore::__private::PreparedOp<::qcore::__private::op::Chunk>,
    b_cat_a: ::qcore::__private::PreparedOp<::qcore::__private::op::Cat>,
    reshape: ::qcore::__private::PreparedOp<::qcore::__private::op::Reshape>,
    permute: ::qcore::__private::PreparedOp<::qcore::__private::op::Permute>,
}
/// [`Shuffle`] in int8: made by `convert`.
#[allow(dead_code, clippy::all, clippy::pedantic)]
struct ShuffleConverted {
    chunk_0: ::qcore::__private::ConvertedOp<::qcore::__private::op::Chunk>,
    chunk_1: ::qcore::__private::ConvertedOp<::qcore::__private::op::Chunk>,
    b_cat_a: ::qcore::__private::ConvertedOp<::qcore::__private::op::Cat>,
    reshape: ::qcore::__private::ConvertedOp<::qcore::__private::op::Reshape>,
    permute: ::qcore::__private::ConvertedOp<::qcore::__private::op::Permute>,
}
const _: () = {
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Parameters for Shuffle {
        fn parameters(
            &self,
            path: &str,
            visit: &mut dyn ::core::ops::FnMut(
                ::std::string::String,
                &::qcore::__private::Tensor,
            ),
        ) {}
        fn parameters_mut(
            &mut self,
            path: &str,
            visit: &mut dyn ::core::ops::FnMut(
                ::std::string::String,
                &mut ::qcore::__private::Tensor,
            ),
        ) {}
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Quantizable for Shuffle {
        type Input = ::qcore::__private::Tensor;
        type Output = ::qcore::__private::Tensor;
        type Prepared = ShufflePrepared;
        type Converted = ShuffleConverted;
        const GRAPH: &'static ::qcore::__private::Graph = &::qcore::__private::Graph {
            model: "Shuffle",
            inputs: &["x"],
            values: &[
                ::qcore::__private::GraphValue {
                    name: "x",
                    domain: ::qcore::__private::Domain::Float,
                },
                ::qcore::__private::GraphValue {
                    name: "a",
                    domain: ::qcore::__private::Domain::Float,
                },
                ::qcore::__private::GraphValue {
                    name: "b",
                    domain: ::qcore::__private::Domain::Float,
                },
                ::qcore::__private::GraphValue {
                    name: "y",
                    domain: ::qcore::__private::Domain::Float,
                },
                ::qcore::__private::GraphValue {
                    name: "y",
                    domain: ::qcore::__private::Domain::Float,
                },
                ::qcore::__private::GraphValue {
                    name: "permute",
                    domain: ::qcore::__private::Domain::Float,
                },
            ],
            nodes: &[
                ::qcore::__private::GraphNode {
                    path: "chunk_0",
                    inputs: &[0usize],
                    outputs: &[1usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "chunk",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "chunk",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Float,
                        domain_out: ::qcore::__private::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its input is float and nothing quantized reads its result",
                        ),
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "chunk_1",
                    inputs: &[0usize],
                    outputs: &[2usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "chunk",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "chunk",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Float,
                        domain_out: ::qcore::__private::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its input is float and nothing quantized reads its result",
                        ),
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "b_cat_a",
                    inputs: &[2usize, 1usize],
                    outputs: &[3usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "cat",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "cat",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Float,
                        domain_out: ::qcore::__private::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its input is float and nothing quantized reads its result",
                        ),
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "reshape",
                    inputs: &[3usize],
                    outputs: &[4usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "reshape",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "reshape",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Float,
                        domain_out: ::qcore::__private::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its input is float and nothing quantized reads its result",
                        ),
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "permute",
                    inputs: &[4usize],
                    outputs: &[5usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "permute",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "permute",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Float,
                        domain_out: ::qcore::__private::Domain::Float,
                        float_reason: ::core::option::Option::Some(
                            "its input is float and nothing quantized reads its result",
                        ),
                        not_fused: ::core::option::Option::None,
                    },
                },
            ],
            outputs: &[5usize],
        };
        const FUSIONS: &'static [&'static [&'static str]] = &[];
        fn run(
            &self,
            x: ::qcore::__private::Tensor,
        ) -> ::qcore::__private::Result<::qcore::__private::Tensor> {
            let a = ::qcore::__private::op::chunk(
                    2,
                    ::core::option::Option::Some(1),
                    0usize,
                )
                .and_then(|op| ::qcore::__private::Op::forward(
                    &op,
                    &mut [::core::clone::Clone::clone(&x)],
                ))
                .map_err(|error| error.in_layer("chunk_0"))?;
            let b = ::qcore::__private::op::chunk(
                    2,
                    ::core::option::Option::Some(1),
                    1usize,
                )
                .and_then(|op| ::qcore::__private::Op::forward(
                    &op,
                    &mut [::core::clone::Clone::clone(&x)],
                ))
                .map_err(|error| error.in_layer("chunk_1"))?;
            let y = ::qcore::__private::op::cat(::core::option::Option::Some(1))
                .and_then(|op| ::qcore::__private::Op::forward(&op, &mut [b, a]))
                .map_err(|error| error.in_layer("b_cat_a"))?;
            let y_1 = {
                let sizes = [x.size(0)?];
                ::qcore::__private::op::reshape(
                        ::std::vec![
                            ::qcore::__private::Extent::Given(0usize),
                            ::qcore::__private::Extent::from(self.groups),
                            ::qcore::__private::Extent::from(- 1)
                        ],
                    )
                    .and_then(|op| op.forward_sized(y, &sizes))
                    .map_err(|error| error.in_layer("reshape"))?
            };
            let permute_out = ::qcore::__private::op::permute([0, 2, 1])
                .and_then(|op| ::qcore::__private::Op::forward(&op, &mut [y_1]))
                .map_err(|error| error.in_layer("permute"))?;
            ::core::result::Result::Ok(permute_out)
        }
        fn trace(
            &self,
            tracer: &mut ::qcore::__private::Tracer,
            x: ::qcore::__private::Edge,
        ) -> ::qcore::__private::Result<(Self::Prepared, ::qcore::__private::Edge)> {
            let (chunk_0, a) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "chunk_0",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "chunk",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::op::chunk(
                            2,
                            ::core::option::Option::Some(1),
                            0usize,
                        )
                        .map_err(|error| error.in_layer("chunk_0"))?,
                    &[x],
                )?;
            let (chunk_1, b) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "chunk_1",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "chunk",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::op::chunk(
                            2,
                            ::core::option::Option::Some(1),
                            1usize,
                        )
                        .map_err(|error| error.in_layer("chunk_1"))?,
                    &[x],
                )?;
            let (b_cat_a, y) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "b_cat_a",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "cat",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::op::cat(::core::option::Option::Some(1))
                        .map_err(|error| error.in_layer("b_cat_a"))?,
                    &[b, a],
                )?;
            let (reshape, y_1) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "reshape",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "reshape",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::op::reshape(
                            ::std::vec![
                                ::qcore::__private::Extent::Given(0usize),
                                ::qcore::__private::Extent::from(self.groups),
                                ::qcore::__private::Extent::from(- 1)
                            ],
                        )
                        .map_err(|error| error.in_layer("reshape"))?,
                    &[y],
                )?;
            let (permute, permute_out) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "permute",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "permute",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::op::permute([0, 2, 1])
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
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::PreparedNetwork<Shuffle> for ShufflePrepared {
        fn run(
            &self,
            observation: &mut ::qcore::__private::Observation<'_>,
            x: ::qcore::__private::Tensor,
        ) -> ::qcore::__private::Result<::qcore::__private::Tensor> {
            let a = ::qcore::__private::PreparedOp::run(
                &self.chunk_0,
                observation,
                [::core::clone::Clone::clone(&x)],
            )?;
            let b = ::qcore::__private::PreparedOp::run(
                &self.chunk_1,
                observation,
                [::core::clone::Clone::clone(&x)],
            )?;
            let y = ::qcore::__private::PreparedOp::run(
                &self.b_cat_a,
                observation,
                [b, a],
            )?;
            let y_1 = {
                let sizes = [x.size(0)?];
                ::qcore::__private::PreparedOp::run_sized(
                    &self.reshape,
                    observation,
                    y,
                    &sizes,
                )?
            };
            let permute_out = ::qcore::__private::PreparedOp::run(
                &self.permute,
                observation,
                [y_1],
            )?;
            ::core::result::Result::Ok(permute_out)
        }
        fn convert(
            &self,
            conversion: &::qcore::__private::Conversion<'_>,
        ) -> ::qcore::__private::Result<ShuffleConverted> {
            ::core::result::Result::Ok(ShuffleConverted {
                chunk_0: ::qcore::__private::PreparedOp::convert(
                    &self.chunk_0,
                    conversion,
                )?,
                chunk_1: ::qcore::__private::PreparedOp::convert(
                    &self.chunk_1,
                    conversion,
                )?,
                b_cat_a: ::qcore::__private::PreparedOp::convert(
                    &self.b_cat_a,
                    conversion,
                )?,
                reshape: ::qcore::__private::PreparedOp::convert(
                    &self.reshape,
                    conversion,
                )?,
                permute: ::qcore::__private::PreparedOp::convert(
                    &self.permute,
                    conversion,
                )?,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
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
    impl ::core::fmt::Debug for ShufflePrepared {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("ShufflePrepared").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::ConvertedNetwork<Shuffle> for ShuffleConverted {
        fn run(
            &self,
            x: ::qcore::__private::Value,
        ) -> ::qcore::__private::Result<::qcore::__private::Value> {
            let a = ::qcore::__private::ConvertedOp::run(
                &self.chunk_0,
                [::core::clone::Clone::clone(&x)],
            )?;
            let b = ::qcore::__private::ConvertedOp::run(
                &self.chunk_1,
                [::core::clone::Clone::clone(&x)],
            )?;
            let y = ::qcore::__private::ConvertedOp::run(&self.b_cat_a, [b, a])?;
            let y_1 = {
                let sizes = [x.size(0)?];
                ::qcore::__private::ConvertedOp::run_sized(&self.reshape, y, &sizes)?
            };
            let permute_out = ::qcore::__private::ConvertedOp::run(
                &self.permute,
                [y_1],
            )?;
            ::core::result::Result::Ok(permute_out)
        }
        fn visit_weights(
            &self,
            visit: &mut dyn ::core::ops::FnMut(&str, &::qcore::__private::QTensor),
        ) {
            ::qcore::__private::ConvertedOp::visit_weights(&self.chunk_0, visit);
            ::qcore::__private::ConvertedOp::visit_weights(&self.chunk_1, visit);
            ::qcore::__private::ConvertedOp::visit_weights(&self.b_cat_a, visit);
            ::qcore::__private::ConvertedOp::visit_weights(&self.reshape, visit);
            ::qcore::__private::ConvertedOp::visit_weights(&self.permute, visit);
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for ShuffleConverted {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("ShuffleConverted").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl ::qcore::__private::Record for ShuffleConverted {
        fn save(
            &self,
            archive: &mut ::qcore::__private::ArchiveWriter,
            path: &str,
        ) -> ::qcore::__private::Result<()> {
            ::qcore::__private::Record::save(
                &self.chunk_0,
                archive,
                &::qcore::__private::join(path, "chunk_0"),
            )?;
            ::qcore::__private::Record::save(
                &self.chunk_1,
                archive,
                &::qcore::__private::join(path, "chunk_1"),
            )?;
            ::qcore::__private::Record::save(
                &self.b_cat_a,
                archive,
                &::qcore::__private::join(path, "b_cat_a"),
            )?;
            ::qcore::__private::Record::save(
                &self.reshape,
                archive,
                &::qcore::__private::join(path, "reshape"),
            )?;
            ::qcore::__private::Record::save(
                &self.permute,
                archive,
                &::qcore::__private::join(path, "permute"),
            )?;
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &::qcore::__private::Archive,
            path: &str,
        ) -> ::qcore::__private::Result<Self> {
            ::core::result::Result::Ok(Self {
                chunk_0: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "chunk_0"),
                )?,
                chunk_1: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "chunk_1"),
                )?,
                b_cat_a: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "b_cat_a"),
                )?,
                reshape: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "reshape"),
                )?,
                permute: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "permute"),
                )?,
            })
        }
    }
};
