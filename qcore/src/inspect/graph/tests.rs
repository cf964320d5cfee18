use super::*;

const CONV: GraphNode = GraphNode {
    path: "layers.{i}",
    inputs: &[1],
    outputs: &[2],
    kind: GraphNodeKind::Operation {
        operation: "conv_relu",
        members: &[
            GraphMember { path: Some("layers.{i}"), object_type: "Conv2d" },
            GraphMember { path: None, object_type: "relu" },
        ],
        domain_in: Domain::Int8,
        domain_out: Domain::Int8,
        float_reason: None,
        not_fused: None,
        computed_with: &[],
    },
};

const INNER: Graph = Graph {
    model: "Stack",
    inputs: &["x"],
    values: &[
        GraphValue { name: "x", domain: Domain::Float },
        GraphValue { name: "x", domain: Domain::Int8 },
        GraphValue { name: "relu", domain: Domain::Int8 },
        GraphValue { name: "x", domain: Domain::Int8 },
    ],
    nodes: &[
        GraphNode {
            path: "",
            inputs: &[0],
            outputs: &[],
            kind: GraphNodeKind::Stub {
                action: StubAction::Quantize,
                readers: &["layers"],
                at_boundary: true,
            },
        },
        GraphNode {
            path: "layers",
            inputs: &[0],
            outputs: &[3],
            kind: GraphNodeKind::Loop {
                iterable: "self.layers",
                carried: &[GraphCarried { initial: 0, entry: 1, next: 2, result: 3 }],
                body: &[CONV],
            },
        },
        GraphNode {
            path: "",
            inputs: &[3],
            outputs: &[],
            kind: GraphNodeKind::Stub {
                action: StubAction::Dequantize,
                readers: &["return"],
                at_boundary: true,
            },
        },
    ],
    outputs: &[3],
};

const OUTER: Graph = Graph {
    model: "Net",
    inputs: &["x"],
    values: &[
        GraphValue { name: "x", domain: Domain::Float },
        GraphValue { name: "stack", domain: Domain::Int8 },
    ],
    nodes: &[GraphNode {
        path: "stack",
        inputs: &[0],
        outputs: &[1],
        kind: GraphNodeKind::Model { model: "Stack", graph: &INNER, float_reason: None },
    }],
    outputs: &[1],
};

#[test]
fn the_table_has_a_row_for_each_step_and_stub() {
    let expected = "\
Stack
  value    operation        path        inputs   domain         notes
  %0 x     input                                 float
           quantize                     %0       float -> int8  for layers
           for self.layers              %1 = %0
  %2 relu    conv_relu      layers.{i}  %1       int8           layers.{i} + relu
             next                       %2
  %3 x     end                                   int8
           dequantize                   %3       int8 -> float  for return
           return                       %3
";
    assert_eq!(INNER.to_string(), expected);
}

#[test]
fn a_nested_model_follows_as_a_table_of_its_own() {
    let text = OUTER.to_string();
    assert!(text.starts_with("Net\n"), "{text}");
    assert!(text.contains("\n\nStack\n"), "{text}");
}

#[test]
fn fusions_are_listed_as_fuse_modules_takes_them() {
    assert_eq!(INNER.fusions(), [["layers.{i}", "relu"]]);
}

#[test]
fn dot_shades_int8_and_frames_loops_and_models() {
    let dot = OUTER.to_dot();
    assert!(dot.contains("label=\"stack (Stack)\""), "{dot}");
    assert!(dot.contains("label=\"for self.layers\""), "{dot}");
    assert!(dot.contains("fillcolor=lightblue"), "{dot}");
    assert_eq!(dot.matches('{').count(), dot.matches('}').count(), "{dot}");
}

#[test]
fn a_boundary_stub_is_drawn_for_the_outermost_model_alone() {
    assert!(INNER.to_dot().contains("label=\"quantize\""));
    assert!(!OUTER.to_dot().contains("label=\"quantize\""));
}

#[test]
fn a_nested_model_that_stays_in_float_is_drawn_in_float() {
    const NODE: GraphNode = GraphNode {
        kind: GraphNodeKind::Model { model: "Stack", graph: &INNER, float_reason: Some("skip") },
        ..OUTER.nodes[0]
    };
    let dot = Graph { nodes: &[NODE], ..OUTER }.to_dot();
    assert!(!dot.contains("lightblue"), "{dot}");
}

#[test]
fn an_addition_shows_the_convolutions_that_it_may_run_in() {
    const ADDITION: GraphNode = GraphNode {
        kind: GraphNodeKind::Operation {
            operation: "add",
            members: &[GraphMember { path: None, object_type: "add" }],
            domain_in: Domain::Int8,
            domain_out: Domain::Int8,
            float_reason: None,
            not_fused: None,
            computed_with: &["conv2", "downsample.0"],
        },
        ..OUTER.nodes[0]
    };
    let graph = Graph { nodes: &[ADDITION], ..OUTER };
    assert!(graph.to_string().contains("computed with conv2 or downsample.0\n"), "{graph}");
    assert!(graph.to_dot().contains("\\ncomputed with conv2 or downsample.0\""), "{}", graph.to_dot());
}
