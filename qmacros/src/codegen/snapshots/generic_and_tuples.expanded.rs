#[automatically_derived]
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
impl<B> Pair<B>
where
    B: qp::Quantizable<
        Input = (qp::Tensor, qp::Tensor),
        Output = (qp::Tensor, qp::Tensor),
    >,
    B: 'static,
{
    pub fn forward(
        &self,
        a: impl ::core::convert::Into<qp::Tensor>,
        b: impl ::core::convert::Into<qp::Tensor>,
    ) -> qp::Result<(qp::Tensor, qp::Tensor)> {
        <Self as qp::Quantizable>::run(
            self,
            (
                ::core::convert::Into::<qp::Tensor>::into(a),
                ::core::convert::Into::<qp::Tensor>::into(b),
            ),
        )
    }
}
/// [`Pair`] with fused operations and observers: made by `prepare`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
pub struct PairPrepared<B>
where
    B: qp::Quantizable<
        Input = (qp::Tensor, qp::Tensor),
        Output = (qp::Tensor, qp::Tensor),
    >,
    B: 'static,
{
    left: <B as qp::Quantizable>::Prepared,
    fc: qp::PreparedOp<<::qcore::layers::Linear as qp::Layer>::Op>,
    fc_1: qp::PreparedOp<<::qcore::layers::Linear as qp::Layer>::Op>,
    swap: PairPreparedSwap<B>,
    dequant: qp::PreparedOp<qp::op::Dequant>,
    generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>>,
}
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
enum PairPreparedSwap<B>
where
    B: qp::Quantizable<
        Input = (qp::Tensor, qp::Tensor),
        Output = (qp::Tensor, qp::Tensor),
    >,
    B: 'static,
{
    Then {
        c_times_scalar: qp::PreparedOp<qp::op::MulScalar>,
        generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>>,
    },
    Else { generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>> },
}
/// [`Pair`] in int8: made by `convert`.
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
pub struct PairConverted<B>
where
    B: qp::Quantizable<
        Input = (qp::Tensor, qp::Tensor),
        Output = (qp::Tensor, qp::Tensor),
    >,
    B: 'static,
{
    left: <B as qp::Quantizable>::Converted,
    fc: qp::ConvertedOp<<::qcore::layers::Linear as qp::Layer>::Op>,
    fc_1: qp::ConvertedOp<<::qcore::layers::Linear as qp::Layer>::Op>,
    swap: PairConvertedSwap<B>,
    dequant: qp::ConvertedOp<qp::op::Dequant>,
    generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>>,
}
#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
enum PairConvertedSwap<B>
where
    B: qp::Quantizable<
        Input = (qp::Tensor, qp::Tensor),
        Output = (qp::Tensor, qp::Tensor),
    >,
    B: 'static,
{
    Then {
        c_times_scalar: qp::ConvertedOp<qp::op::MulScalar>,
        generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>>,
    },
    Else { generics_marker: ::core::marker::PhantomData<fn() -> Pair<B>> },
}
const _: () = {
    const _: ::core::option::Option<fn(Tensor, Tensor, (Tensor, Tensor))> = ::core::option::Option::None;
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> qp::Parameters for Pair<B>
    where
        B: qp::Quantizable<
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
                &mut self.left,
                &qp::join(path, "left"),
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
    impl<B> qp::Quantizable for Pair<B>
    where
        B: qp::Quantizable<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
        >,
        B: 'static,
    {
        type Input = (qp::Tensor, qp::Tensor);
        type Output = (qp::Tensor, qp::Tensor);
        type Prepared = PairPrepared<B>;
        type Converted = PairConverted<B>;
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
                        graph: <B as qp::Quantizable>::GRAPH,
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
        fn run(
            &self,
            (a, b): (qp::Tensor, qp::Tensor),
        ) -> qp::Result<(qp::Tensor, qp::Tensor)> {
            let (c, d) = <B as qp::Quantizable>::run(&self.left, (a, b))
                .map_err(|error| error.in_layer("left"))?;
            let c_1 = qp::Layer::forward(
                    <Linear as qp::IsLayer<::qcore::layers::Linear>>::as_layer(&self.fc),
                    c,
                )
                .map_err(|error| error.in_layer("fc"))?;
            let d_1 = qp::Layer::forward(
                    <Linear as qp::IsLayer<::qcore::layers::Linear>>::as_layer(&self.fc),
                    d,
                )
                .map_err(|error| error.in_layer("fc"))?;
            let e = match self.swap {
                true => {
                    let c_times_scalar_out = qp::op::mul_scalar(2.0)
                        .and_then(|op| qp::Op::forward(
                            &op,
                            &mut [::core::clone::Clone::clone(&c_1)],
                        ))
                        .map_err(|error| error.in_layer("c_times_scalar"))?;
                    c_times_scalar_out
                }
                false => d_1,
            };
            let dequant_out = qp::op::dequant()
                .and_then(|op| qp::Op::forward(&op, &mut [c_1]))
                .map_err(|error| error.in_layer("dequant"))?;
            ::core::result::Result::Ok((e, dequant_out))
        }
        fn trace(
            &self,
            tracer: &mut qp::Tracer,
            (a, b): (qp::Edge, qp::Edge),
        ) -> qp::Result<(Self::Prepared, (qp::Edge, qp::Edge))> {
            let (left, (c, d)) = tracer
                .scope(
                    "left",
                    |tracer| <B as qp::Quantizable>::trace(&self.left, tracer, (a, b)),
                )
                .map_err(|error| error.in_layer("left"))?;
            let (fc, c_1) = tracer
                .op(
                    qp::OpSite {
                        name: "fc",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::Layer::op(
                            <Linear as qp::IsLayer<
                                ::qcore::layers::Linear,
                            >>::as_layer(&self.fc),
                        )
                        .map_err(|error| error.in_layer("fc"))?,
                    &[c],
                )?;
            let (fc_1, d_1) = tracer
                .op(
                    qp::OpSite {
                        name: "fc",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::Some("fc"),
                                object_type: "Linear",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::Layer::op(
                            <Linear as qp::IsLayer<
                                ::qcore::layers::Linear,
                            >>::as_layer(&self.fc),
                        )
                        .map_err(|error| error.in_layer("fc"))?,
                    &[d],
                )?;
            let (swap, e) = match self.swap {
                true => {
                    let (c_times_scalar, c_times_scalar_out) = tracer
                        .op(
                            qp::OpSite {
                                name: "c_times_scalar",
                                members: &[
                                    qp::Member {
                                        path: ::core::option::Option::None,
                                        object_type: "mul_scalar",
                                    },
                                ],
                                skip: false,
                                qconfig: ::core::option::Option::None,
                            },
                            qp::op::mul_scalar(2.0)
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
                    qp::OpSite {
                        name: "dequant",
                        members: &[
                            qp::Member {
                                path: ::core::option::Option::None,
                                object_type: "dequant",
                            },
                        ],
                        skip: false,
                        qconfig: ::core::option::Option::None,
                    },
                    qp::op::dequant().map_err(|error| error.in_layer("dequant"))?,
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
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> qp::PreparedNetwork<Pair<B>> for PairPrepared<B>
    where
        B: qp::Quantizable<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
        >,
        B: 'static,
    {
        fn run(
            &self,
            observation: &mut qp::Observation<'_>,
            (a, b): (qp::Tensor, qp::Tensor),
        ) -> qp::Result<(qp::Tensor, qp::Tensor)> {
            let (c, d) = qp::PreparedNetwork::<B>::run(&self.left, observation, (a, b))?;
            let c_1 = qp::PreparedOp::run(&self.fc, observation, [c])?;
            let d_1 = qp::PreparedOp::run(&self.fc_1, observation, [d])?;
            let e = match &self.swap {
                PairPreparedSwap::Then { c_times_scalar: c_times_scalar, .. } => {
                    let c_times_scalar_out = qp::PreparedOp::run(
                        c_times_scalar,
                        observation,
                        [::core::clone::Clone::clone(&c_1)],
                    )?;
                    c_times_scalar_out
                }
                PairPreparedSwap::Else { .. } => d_1,
            };
            let dequant_out = qp::PreparedOp::run(&self.dequant, observation, [c_1])?;
            ::core::result::Result::Ok((e, dequant_out))
        }
        fn convert(
            &self,
            conversion: &qp::Conversion<'_>,
        ) -> qp::Result<PairConverted<B>> {
            ::core::result::Result::Ok(PairConverted {
                left: qp::PreparedNetwork::<B>::convert(&self.left, conversion)?,
                fc: qp::PreparedOp::convert(&self.fc, conversion)?,
                fc_1: qp::PreparedOp::convert(&self.fc_1, conversion)?,
                swap: match &self.swap {
                    PairPreparedSwap::Then { c_times_scalar: c_times_scalar, .. } => {
                        PairConvertedSwap::Then {
                            c_times_scalar: qp::PreparedOp::convert(
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
                dequant: qp::PreparedOp::convert(&self.dequant, conversion)?,
                generics_marker: ::core::marker::PhantomData,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> ::core::clone::Clone for PairPrepared<B>
    where
        B: qp::Quantizable<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
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
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> ::core::fmt::Debug for PairPrepared<B>
    where
        B: qp::Quantizable<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
        >,
        B: 'static,
    {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("PairPrepared").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> ::core::clone::Clone for PairPreparedSwap<B>
    where
        B: qp::Quantizable<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
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
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> qp::ConvertedNetwork<Pair<B>> for PairConverted<B>
    where
        B: qp::Quantizable<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
        >,
        B: 'static,
    {
        fn run(
            &self,
            (a, b): (qp::Value, qp::Value),
        ) -> qp::Result<(qp::Value, qp::Value)> {
            let (c, d) = qp::ConvertedNetwork::<B>::run(&self.left, (a, b))?;
            let c_1 = qp::ConvertedOp::run(&self.fc, [c])?;
            let d_1 = qp::ConvertedOp::run(&self.fc_1, [d])?;
            let e = match &self.swap {
                PairConvertedSwap::Then { c_times_scalar: c_times_scalar, .. } => {
                    let c_times_scalar_out = qp::ConvertedOp::run(
                        c_times_scalar,
                        [::core::clone::Clone::clone(&c_1)],
                    )?;
                    c_times_scalar_out
                }
                PairConvertedSwap::Else { .. } => d_1,
            };
            let dequant_out = qp::ConvertedOp::run(&self.dequant, [c_1])?;
            ::core::result::Result::Ok((e, dequant_out))
        }
        fn visit_weights(
            &self,
            visit: &mut dyn ::core::ops::FnMut(&::core::primitive::str, &qp::QTensor),
        ) {
            qp::ConvertedNetwork::<B>::visit_weights(&self.left, visit);
            qp::ConvertedOp::visit_weights(&self.fc, visit);
            qp::ConvertedOp::visit_weights(&self.fc_1, visit);
            match &self.swap {
                PairConvertedSwap::Then { c_times_scalar: c_times_scalar, .. } => {
                    qp::ConvertedOp::visit_weights(c_times_scalar, visit);
                }
                PairConvertedSwap::Else { .. } => {}
            }
            qp::ConvertedOp::visit_weights(&self.dequant, visit);
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> ::core::fmt::Debug for PairConverted<B>
    where
        B: qp::Quantizable<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
        >,
        B: 'static,
    {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct("PairConverted").finish_non_exhaustive()
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> qp::Record for PairConverted<B>
    where
        B: qp::Quantizable<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
        >,
        B: 'static,
    {
        fn save(
            &self,
            archive: &mut qp::ArchiveWriter,
            path: &::core::primitive::str,
        ) -> qp::Result<()> {
            qp::Record::save(&self.left, archive, &qp::join(path, "left"))?;
            qp::Record::save(&self.fc, archive, &qp::join(path, "fc"))?;
            qp::Record::save(&self.fc_1, archive, &qp::join(path, "fc_1"))?;
            qp::Record::save(&self.swap, archive, &qp::join(path, "swap"))?;
            qp::Record::save(&self.dequant, archive, &qp::join(path, "dequant"))?;
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &qp::Archive,
            path: &::core::primitive::str,
        ) -> qp::Result<Self> {
            ::core::result::Result::Ok(Self {
                left: qp::Record::load(archive, &qp::join(path, "left"))?,
                fc: qp::Record::load(archive, &qp::join(path, "fc"))?,
                fc_1: qp::Record::load(archive, &qp::join(path, "fc_1"))?,
                swap: qp::Record::load(archive, &qp::join(path, "swap"))?,
                dequant: qp::Record::load(archive, &qp::join(path, "dequant"))?,
                generics_marker: ::core::marker::PhantomData,
            })
        }
    }
    #[automatically_derived]
    #[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)]
    impl<B> qp::Record for PairConvertedSwap<B>
    where
        B: qp::Quantizable<
            Input = (qp::Tensor, qp::Tensor),
            Output = (qp::Tensor, qp::Tensor),
        >,
        B: 'static,
    {
        fn save(
            &self,
            archive: &mut qp::ArchiveWriter,
            path: &::core::primitive::str,
        ) -> qp::Result<()> {
            match self {
                Self::Then { c_times_scalar: c_times_scalar, .. } => {
                    archive.put_arm(path, "then")?;
                    qp::Record::save(
                        c_times_scalar,
                        archive,
                        &qp::join(path, "c_times_scalar"),
                    )?;
                }
                Self::Else { .. } => {
                    archive.put_arm(path, "else")?;
                }
            }
            ::core::result::Result::Ok(())
        }
        fn load(
            archive: &qp::Archive,
            path: &::core::primitive::str,
        ) -> qp::Result<Self> {
            match archive.arm(path)? {
                "then" => {
                    ::core::result::Result::Ok(Self::Then {
                        c_times_scalar: qp::Record::load(
                            archive,
                            &qp::join(path, "c_times_scalar"),
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
