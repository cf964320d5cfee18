#[automatically_derived]
impl<B> Pair<B>
where
    B: ::qcore::__private::Quantizable<
        Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
    >,
    B: 'static,
{
    #[allow(clippy::missing_errors_doc)]
    pub fn forward(
        &self,
        a: impl ::core::convert::Into<::qcore::__private::Tensor>,
        b: impl ::core::convert::Into<::qcore::__private::Tensor>,
    ) -> ::qcore::__private::Result<
        (::qcore::__private::Tensor, ::qcore::__private::Tensor),
    > {
        <Self as ::qcore::__private::Quantizable>::run(
            self,
            (
                ::core::convert::Into::<::qcore::__private::Tensor>::into(a),
                ::core::convert::Into::<::qcore::__private::Tensor>::into(b),
            ),
        )
    }
}
/// [`Pair`] with fused operations and observers: made by `prepare`.
#[allow(dead_code, clippy::all, clippy::pedantic)]
pub struct PairPrepared<B>
where
    B: ::qcore::__private::Quantizable<
        Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
    >,
    B: 'static,
{
    left: <B as ::qcore::__private::Quantizable>::Prepared,
    fc: ::qcore::__private::PreparedOp<<Linear as ::qcore::__private::Layer>::Op>,
    fc_1: ::qcore::__private::PreparedOp<<Linear as ::qcore::__private::Layer>::Op>,
    swap: PairPreparedSwap<B>,
    dequant: ::qcore::__private::PreparedOp<::qcore::__private::op::Dequant>,
    generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>>,
}
#[allow(dead_code, clippy::all, clippy::pedantic)]
enum PairPreparedSwap<B>
where
    B: ::qcore::__private::Quantizable<
        Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
    >,
    B: 'static,
{
    Then {
        c_times_scalar: ::qcore::__private::PreparedOp<
            ::qcore::__private::op::MulScalar,
        >,
        generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>>,
    },
    Else { generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>> },
}
/// [`Pair`] in int8: made by `convert`.
#[allow(dead_code, clippy::all, clippy::pedantic)]
pub struct PairConverted<B>
where
    B: ::qcore::__private::Quantizable<
        Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
    >,
    B: 'static,
{
    left: <B as ::qcore::__private::Quantizable>::Converted,
    fc: ::qcore::__private::ConvertedOp<<Linear as ::qcore::__private::Layer>::Op>,
    fc_1: ::qcore::__private::ConvertedOp<<Linear as ::qcore::__private::Layer>::Op>,
    swap: PairConvertedSwap<B>,
    dequant: ::qcore::__private::ConvertedOp<::qcore::__private::op::Dequant>,
    generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>>,
}
#[allow(dead_code, clippy::all, clippy::pedantic)]
enum PairConvertedSwap<B>
where
    B: ::qcore::__private::Quantizable<
        Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
    >,
    B: 'static,
{
    Then {
        c_times_scalar: ::qcore::__private::ConvertedOp<
            ::qcore::__private::op::MulScalar,
        >,
        generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>>,
    },
    Else { generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>> },
}
const _: () = {
    const _: () = ::core::assert!(
        ::qcore::__private::same_kind(< Linear as ::qcore::__private::Layer > ::KIND,
        "Linear"),
        "this `Linear` is not `qcore::Linear`: `#[quantizable]` knows layers by their names, so a type of another crate needs another name here"
    );
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl<B> ::qcore::__private::Parameters for Pair<B>
    where
        B: ::qcore::__private::Quantizable<
            Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
            Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        >,
        B: 'static,
    {
        fn parameters(
            &self,
            path: &str,
            visit: &mut dyn ::core::ops::FnMut(
                ::std::string::String,
                &::qcore::__private::Tensor,
            ),
        ) {
            ::qcore::__private::Parameters::parameters(
                &self.left,
                &::qcore::__private::join(path, "left"),
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
                &mut self.left,
                &::qcore::__private::join(path, "left"),
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
    impl<B> ::qcore::__private::Quantizable for Pair<B>
    where
        B: ::qcore::__private::Quantizable<
            Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
            Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        >,
        B: 'static,
    {
        type Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor);
        type Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor);
        type Prepared = PairPrepared<B>;
        type Converted = PairConverted<B>;
        const GRAPH: &'static ::qcore::__private::Graph = &::qcore::__private::Graph {
            model: "Pair",
            inputs: &["a", "b"],
            values: &[
                ::qcore::__private::GraphValue {
                    name: "a",
                    domain: ::qcore::__private::Domain::Float,
                },
                ::qcore::__private::GraphValue {
                    name: "b",
                    domain: ::qcore::__private::Domain::Float,
                },
                ::qcore::__private::GraphValue {
                    name: "c",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "d",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "c",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "d",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "c_times_scalar",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "e",
                    domain: ::qcore::__private::Domain::Int8,
                },
                ::qcore::__private::GraphValue {
                    name: "dequant",
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
                        readers: &["left"],
                        at_boundary: true,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "",
                    inputs: &[1usize],
                    outputs: &[],
                    kind: ::qcore::__private::GraphNodeKind::Stub {
                        action: ::qcore::__private::StubAction::Quantize,
                        readers: &["left"],
                        at_boundary: true,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "left",
                    inputs: &[0usize, 1usize],
                    outputs: &[2usize, 3usize],
                    kind: ::qcore::__private::GraphNodeKind::Model {
                        model: "B",
                        graph: <B as ::qcore::__private::Quantizable>::GRAPH,
                        float_reason: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "fc",
                    inputs: &[2usize],
                    outputs: &[4usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "linear",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Int8,
                        domain_out: ::qcore::__private::Domain::Int8,
                        float_reason: ::core::option::Option::None,
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "fc",
                    inputs: &[3usize],
                    outputs: &[5usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "linear",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Int8,
                        domain_out: ::qcore::__private::Domain::Int8,
                        float_reason: ::core::option::Option::None,
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "swap",
                    inputs: &[],
                    outputs: &[7usize],
                    kind: ::qcore::__private::GraphNodeKind::Branch {
                        condition: "self.swap",
                        merged: &[
                            ::qcore::__private::GraphMerged {
                                then_value: 6usize,
                                else_value: 5usize,
                                result: 7usize,
                            },
                        ],
                        then_nodes: &[
                            ::qcore::__private::GraphNode {
                                path: "c_times_scalar",
                                inputs: &[4usize],
                                outputs: &[6usize],
                                kind: ::qcore::__private::GraphNodeKind::Operation {
                                    operation: "mul_scalar",
                                    members: &[
                                        ::qcore::__private::GraphMember {
                                            path: ::core::option::Option::None,
                                            object_type: "mul_scalar",
                                        },
                                    ],
                                    domain_in: ::qcore::__private::Domain::Int8,
                                    domain_out: ::qcore::__private::Domain::Int8,
                                    float_reason: ::core::option::Option::None,
                                    not_fused: ::core::option::Option::None,
                                },
                            },
                        ],
                        else_nodes: &[],
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "dequant",
                    inputs: &[4usize],
                    outputs: &[8usize],
                    kind: ::qcore::__private::GraphNodeKind::Operation {
                        operation: "dequant",
                        members: &[
                            ::qcore::__private::GraphMember {
                                path: ::core::option::Option::None,
                                object_type: "dequant",
                            },
                        ],
                        domain_in: ::qcore::__private::Domain::Int8,
                        domain_out: ::qcore::__private::Domain::Float,
                        float_reason: ::core::option::Option::None,
                        not_fused: ::core::option::Option::None,
                    },
                },
                ::qcore::__private::GraphNode {
                    path: "",
                    inputs: &[7usize],
                    outputs: &[],
                    kind: ::qcore::__private::GraphNodeKind::Stub {
                        action: ::qcore::__private::StubAction::Dequantize,
                        readers: &["return"],
                        at_boundary: true,
                    },
                },
            ],
            outputs: &[7usize, 8usize],
        };
        const FUSIONS: &'static [&'static [&'static str]] = &[];
        fn run(
            &self,
            (a, b): (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        ) -> ::qcore::__private::Result<
            (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        > {
            let (c, d) = <B as ::qcore::__private::Quantizable>::run(&self.left, (a, b))
                .map_err(|error| error.in_layer("left"))?;
            let c_1 = <Linear as ::qcore::__private::Layer>::forward(&self.fc, c)
                .map_err(|error| error.in_layer("fc"))?;
            let d_1 = <Linear as ::qcore::__private::Layer>::forward(&self.fc, d)
                .map_err(|error| error.in_layer("fc"))?;
            let e = match self.swap {
                true => {
                    let c_times_scalar_out = ::qcore::__private::op::mul_scalar(2.0)
                        .and_then(|op| ::qcore::__private::Op::forward(
                            &op,
                            &mut [::core::clone::Clone::clone(&c_1)],
                        ))
                        .map_err(|error| error.in_layer("c_times_scalar"))?;
                    c_times_scalar_out
                }
                false => d_1,
            };
            let dequant_out = ::qcore::__private::op::dequant()
                .and_then(|op| ::qcore::__private::Op::forward(&op, &mut [c_1]))
                .map_err(|error| error.in_layer("dequant"))?;
            ::core::result::Result::Ok((e, dequant_out))
        }
        fn trace(
            &self,
            tracer: &mut ::qcore::__private::Tracer,
            (a, b): (::qcore::__private::Edge, ::qcore::__private::Edge),
        ) -> ::qcore::__private::Result<
            (Self::Prepared, (::qcore::__private::Edge, ::qcore::__private::Edge)),
        > {
            let (left, (c, d)) = tracer
                .scope(
                    "left",
                    |tracer| <B as ::qcore::__private::Quantizable>::trace(
                        &self.left,
                        tracer,
                        (a, b),
                    ),
                )
                .map_err(|error| error.in_layer("left"))?;
            let (fc, c_1) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "fc",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    <Linear as ::qcore::__private::Layer>::op(&self.fc)
                        .map_err(|error| error.in_layer("fc"))?,
                    &[c],
                )?;
            let (fc_1, d_1) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "fc",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    <Linear as ::qcore::__private::Layer>::op(&self.fc)
                        .map_err(|error| error.in_layer("fc"))?,
                    &[d],
                )?;
            let (swap, e) = match self.swap {
                true => {
                    let (c_times_scalar, c_times_scalar_out) = tracer
                        .op(
                            ::qcore::__private::OpSite {
                                name: "c_times_scalar",
                                members: &[
                                    ::qcore::__private::Member {
                                        path: ::core::option::Option::None,
                                        object_type: "mul_scalar",
                                    },
                                ],
                                skip: false,
                                qconfig: ::core::option::Option::None,
                            },
                            ::qcore::__private::op::mul_scalar(2.0)
                                .map_err(|error| error.in_layer("c_times_scalar"))?,
                            &[c_1],
                        )?;
                    (
                        PairPreparedSwap::Then {
                            c_times_scalar: c_times_scalar,
                            generics_marker: ::core::marker::PhantomData,
                        },
                        c_times_scalar_out,
                    )
                }
                false => {
                    (
                        PairPreparedSwap::Else {
                            generics_marker: ::core::marker::PhantomData,
                        },
                        d_1,
                    )
                }
            };
            let (dequant, dequant_out) = tracer
                .op(
                    ::qcore::__private::OpSite {
                        name: "dequant",
                        members: &[
                            ::qcore::__private::Member {
                                path: ::core::option::Option::None,
                                object_type: "dequant",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    ::qcore::__private::op::dequant()
                        .map_err(|error| error.in_layer("dequant"))?,
                    &[c_1],
                )?;
            ::core::result::Result::Ok((
                PairPrepared {
                    left: left,
                    fc: fc,
                    fc_1: fc_1,
                    swap: swap,
                    dequant: dequant,
                    generics_marker: ::core::marker::PhantomData,
                },
                (e, dequant_out),
            ))
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl<B> ::qcore::__private::PreparedNetwork<Pair<B>> for PairPrepared<B>
    where
        B: ::qcore::__private::Quantizable<
            Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
            Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        >,
        B: 'static,
    {
        fn run(
            &self,
            observation: &mut ::qcore::__private::Observation<'_>,
            (a, b): (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        ) -> ::qcore::__private::Result<
            (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        > {
            let (c, d) = ::qcore::__private::PreparedNetwork::<
                B,
            >::run(&self.left, observation, (a, b))?;
            let c_1 = ::qcore::__private::PreparedOp::run(&self.fc, observation, [c])?;
            let d_1 = ::qcore::__private::PreparedOp::run(&self.fc_1, observation, [d])?;
            let e = match &self.swap {
                PairPreparedSwap::Then { c_times_scalar: c_times_scalar, .. } => {
                    let c_times_scalar_out = ::qcore::__private::PreparedOp::run(
                        c_times_scalar,
                        observation,
                        [::core::clone::Clone::clone(&c_1)],
                    )?;
                    c_times_scalar_out
                }
                PairPreparedSwap::Else { .. } => d_1,
            };
            let dequant_out = ::qcore::__private::PreparedOp::run(
                &self.dequant,
                observation,
                [c_1],
            )?;
            ::core::result::Result::Ok((e, dequant_out))
        }
        fn convert(
            &self,
            conversion: &::qcore::__private::Conversion<'_>,
        ) -> ::qcore::__private::Result<PairConverted<B>> {
            ::core::result::Result::Ok(PairConverted {
                left: ::qcore::__private::PreparedNetwork::<
                    B,
                >::convert(&self.left, conversion)?,
                fc: ::qcore::__private::PreparedOp::convert(&self.fc, conversion)?,
                fc_1: ::qcore::__private::PreparedOp::convert(&self.fc_1, conversion)?,
                swap: match &self.swap {
                    PairPreparedSwap::Then { c_times_scalar: c_times_scalar, .. } => {
                        PairConvertedSwap::Then {
                            c_times_scalar: ::qcore::__private::PreparedOp::convert(
                                c_times_scalar,
                                conversion,
                            )?,
                            generics_marker: ::core::marker::PhantomData,
                        }
                    }
                    PairPreparedSwap::Else { .. } => {
                        PairConvertedSwap::Else {
                            generics_marker: ::core::marker::PhantomData,
                        }
                    }
                },
                dequant: ::qcore::__private::PreparedOp::convert(
                    &self.dequant,
                    conversion,
                )?,
                generics_marker: ::core::marker::PhantomData,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl<B> ::core::clone::Clone for PairPrepared<B>
    where
        B: ::qcore::__private::Quantizable<
            Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
            Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        >,
        B: 'static,
    {
        fn clone(&self) -> Self {
            Self {
                left: ::core::clone::Clone::clone(&self.left),
                fc: ::core::clone::Clone::clone(&self.fc),
                fc_1: ::core::clone::Clone::clone(&self.fc_1),
                swap: ::core::clone::Clone::clone(&self.swap),
                dequant: ::core::clone::Clone::clone(&self.dequant),
                generics_marker: ::core::marker::PhantomData,
            }
        }
    }
    #[automatically_derived]
    impl<B> ::core::fmt::Debug for PairPrepared<B>
    where
        B: ::qcore::__private::Quantizable<
            Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
            Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        >,
        B: 'static,
    {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("PairPrepared").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl<B> ::core::clone::Clone for PairPreparedSwap<B>
    where
        B: ::qcore::__private::Quantizable<
            Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
            Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        >,
        B: 'static,
    {
        fn clone(&self) -> Self {
            match self {
                Self::Then { c_times_scalar: c_times_scalar, .. } => {
                    Self::Then {
                        c_times_scalar: ::core::clone::Clone::clone(c_times_scalar),
                        generics_marker: ::core::marker::PhantomData,
                    }
                }
                Self::Else { .. } => {
                    Self::Else {
                        generics_marker: ::core::marker::PhantomData,
                    }
                }
            }
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl<B> ::qcore::__private::ConvertedNetwork<Pair<B>> for PairConverted<B>
    where
        B: ::qcore::__private::Quantizable<
            Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
            Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        >,
        B: 'static,
    {
        fn run(
            &self,
            (a, b): (::qcore::__private::Value, ::qcore::__private::Value),
        ) -> ::qcore::__private::Result<
            (::qcore::__private::Value, ::qcore::__private::Value),
        > {
            let (c, d) = ::qcore::__private::ConvertedNetwork::<
                B,
            >::run(&self.left, (a, b))?;
            let c_1 = ::qcore::__private::ConvertedOp::run(&self.fc, [c])?;
            let d_1 = ::qcore::__private::ConvertedOp::run(&self.fc_1, [d])?;
            let e = match &self.swap {
                PairConvertedSwap::Then { c_times_scalar: c_times_scalar, .. } => {
                    let c_times_scalar_out = ::qcore::__private::ConvertedOp::run(
                        c_times_scalar,
                        [::core::clone::Clone::clone(&c_1)],
                    )?;
                    c_times_scalar_out
                }
                PairConvertedSwap::Else { .. } => d_1,
            };
            let dequant_out = ::qcore::__private::ConvertedOp::run(
                &self.dequant,
                [c_1],
            )?;
            ::core::result::Result::Ok((e, dequant_out))
        }
        fn visit_weights(
            &self,
            visit: &mut dyn ::core::ops::FnMut(&str, &::qcore::__private::QTensor),
        ) {
            ::qcore::__private::ConvertedNetwork::<B>::visit_weights(&self.left, visit);
            ::qcore::__private::ConvertedOp::visit_weights(&self.fc, visit);
            ::qcore::__private::ConvertedOp::visit_weights(&self.fc_1, visit);
            match &self.swap {
                PairConvertedSwap::Then { c_times_scalar: c_times_scalar, .. } => {
                    ::qcore::__private::ConvertedOp::visit_weights(
                        c_times_scalar,
                        visit,
                    );
                }
                PairConvertedSwap::Else { .. } => {}
            }
            ::qcore::__private::ConvertedOp::visit_weights(&self.dequant, visit);
        }
    }
    #[automatically_derived]
    impl<B> ::core::fmt::Debug for PairConverted<B>
    where
        B: ::qcore::__private::Quantizable<
            Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
            Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        >,
        B: 'static,
    {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("PairConverted").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl<B> ::qcore::__private::Record for PairConverted<B>
    where
        B: ::qcore::__private::Quantizable<
            Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
            Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        >,
        B: 'static,
    {
        fn save(
            &self,
            archive: &mut ::qcore::__private::ArchiveWriter,
            path: &str,
        ) -> ::qcore::__private::Result<()> {
            ::qcore::__private::Record::save(
                &self.left,
                archive,
                &::qcore::__private::join(path, "left"),
            )?;
            ::qcore::__private::Record::save(
                &self.fc,
                archive,
                &::qcore::__private::join(path, "fc"),
            )?;
            ::qcore::__private::Record::save(
                &self.fc_1,
                archive,
                &::qcore::__private::join(path, "fc_1"),
            )?;
            ::qcore::__private::Record::save(
                &self.swap,
                archive,
                &::qcore::__private::join(path, "swap"),
            )?;
            ::qcore::__private::Record::save(
                &self.dequant,
                archive,
                &::qcore::__private::join(path, "dequant"),
            )?;
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &::qcore::__private::Archive,
            path: &str,
        ) -> ::qcore::__private::Result<Self> {
            ::core::result::Result::Ok(Self {
                left: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "left"),
                )?,
                fc: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "fc"),
                )?,
                fc_1: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "fc_1"),
                )?,
                swap: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "swap"),
                )?,
                dequant: ::qcore::__private::Record::load(
                    archive,
                    &::qcore::__private::join(path, "dequant"),
                )?,
                generics_marker: ::core::marker::PhantomData,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, clippy::all, clippy::pedantic)]
    impl<B> ::qcore::__private::Record for PairConvertedSwap<B>
    where
        B: ::qcore::__private::Quantizable<
            Input = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
            Output = (::qcore::__private::Tensor, ::qcore::__private::Tensor),
        >,
        B: 'static,
    {
        fn save(
            &self,
            archive: &mut ::qcore::__private::ArchiveWriter,
            path: &str,
        ) -> ::qcore::__private::Result<()> {
            match self {
                Self::Then { c_times_scalar: c_times_scalar, .. } => {
                    archive.put_arm(path, "then")?;
                    ::qcore::__private::Record::save(
                        c_times_scalar,
                        archive,
                        &::qcore::__private::join(path, "c_times_scalar"),
                    )?;
                }
                Self::Else { .. } => {
                    archive.put_arm(path, "else")?;
                }
            }
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &::qcore::__private::Archive,
            path: &str,
        ) -> ::qcore::__private::Result<Self> {
            match archive.arm(path)? {
                "then" => {
                    ::core::result::Result::Ok(Self::Then {
                        c_times_scalar: ::qcore::__private::Record::load(
                            archive,
                            &::qcore::__private::join(path, "c_times_scalar"),
                        )?,
                        generics_marker: ::core::marker::PhantomData,
                    })
                }
                "else" => {
                    ::core::result::Result::Ok(Self::Else {
                        generics_marker: ::core::marker::PhantomData,
                    })
                }
                arm => ::core::result::Result::Err(archive.unknown_arm(path, arm)),
            }
        }
    }
};
