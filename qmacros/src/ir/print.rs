//! The text form of a graph, for tests and `#[quantizable(dump)]`.

use std::collections::HashMap;
use std::fmt::Write as _;

use proc_macro2::TokenStream;
use qcatalogue::Role;

use super::{
    Argument, Block, BranchNode, Callee, Carried, Condition, Extent, ForNode, FunctionCall, Graph, LoopId,
    Member, ModelNode, Node, NodeKind, OpNode, PathSegment, Place, ValueId,
};

/// ```text
/// %0 = input x
/// %1 = conv2d self.conv1(%0)
/// %2 = batch_norm2d self.bn1(%1)
/// return %2
/// ```
pub fn graph_text(graph: &Graph) -> String {
    let mut printer = Printer { numbers: number_values(graph), ..Printer::default() };
    for &input in &graph.inputs {
        let line = format!("{} = input {}", printer.value(input), graph.values[input.0].name);
        printer.line(&line);
    }
    printer.block(&graph.body);
    let outputs = printer.values(&graph.outputs.values);
    let returned = if graph.outputs.is_tuple { format!("({outputs})") } else { outputs };
    printer.line(&format!("return {returned}"));
    printer.text
}

/// The values that a graph still speaks of, numbered in the order in which they are made.
pub fn number_values(graph: &Graph) -> HashMap<ValueId, usize> {
    let mut order = graph.inputs.clone();
    collect_definitions(&graph.body, &mut order);
    order.into_iter().enumerate().map(|(number, value)| (value, number)).collect()
}

fn collect_definitions(block: &Block, order: &mut Vec<ValueId>) {
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(op) => order.extend(op.results()),
            NodeKind::Model(model) => order.extend(&model.results),
            NodeKind::For(repeat) => {
                order.extend(repeat.carried.iter().map(|carried| carried.entry));
                collect_definitions(&repeat.body, order);
                order.extend(repeat.carried.iter().map(|carried| carried.result));
            }
            NodeKind::Branch(branch) => {
                collect_definitions(&branch.then_block, order);
                collect_definitions(&branch.else_block, order);
                order.extend(branch.merged.iter().map(|merged| merged.result));
            }
        }
    }
}

/// `conv_bn_relu`: what a node does, the members of a group joined.
pub fn operation_name(op: &OpNode) -> String {
    if let [member] = op.members.as_slice() {
        return member_operation(member).to_owned();
    }
    let names: Vec<&str> = op.members.iter().map(short_operation).collect();
    names.join("_")
}

/// `conv2d`, `max_pool2d`: what one member does, as a function would be called.
pub fn member_operation(member: &Member) -> &'static str {
    match &member.callee {
        Callee::Layer(layer) => layer.operation.label,
        Callee::Function(call) => call.function.name,
    }
}

/// `conv`, whatever its dimensions.
fn short_operation(member: &Member) -> &'static str {
    match member.operation().role {
        Role::Conv => "conv",
        Role::ConvTranspose => "conv_transpose",
        Role::BatchNorm => "bn",
        _ => member_operation(member),
    }
}

/// The state-dict path in PyTorch's spelling; `letter` names the index of each loop.
pub fn path_text(path: &[PathSegment], letter: impl Fn(LoopId) -> String) -> String {
    let segments: Vec<String> = path
        .iter()
        .map(|segment| match segment {
            PathSegment::Name(name) => name.clone(),
            PathSegment::Index { id, first: 0 } => format!("{{{}}}", letter(*id)),
            PathSegment::Index { id, first } => format!("{{{} + {first}}}", letter(*id)),
            PathSegment::Number(number) => format!("{{{}}}", source_text(number)),
        })
        .collect();
    segments.join(".")
}

/// A layer's or a submodel's path, with the letters of [`loop_letters`].
pub fn place_text(place: &Place, letters: &HashMap<LoopId, String>) -> String {
    let mut text = path_text(&place.path, |id| letters.get(&id).cloned().unwrap_or_else(|| "?".to_owned()));
    for inner in &place.within {
        let _ = write!(text, ".{}", inner.field);
    }
    text
}

/// What a call of an operation is known by: its layer's path, or the field that the macro named.
pub fn site_name(op: &OpNode, letters: &HashMap<LoopId, String>) -> String {
    match op.members.first().map(|member| &member.callee) {
        Some(Callee::Layer(layer)) => place_text(&layer.place, letters),
        Some(Callee::Function(_)) | None => op.name().to_owned(),
    }
}

/// The letter of a loop's index by how deep the loop is nested: `i`, `j`, `k`.
pub fn loop_letter(depth: usize) -> String {
    match ["i", "j", "k"].get(depth) {
        Some(letter) => (*letter).to_owned(),
        None => format!("i{depth}"),
    }
}

/// The letters of all loops of a graph.
pub fn loop_letters(graph: &Graph) -> HashMap<LoopId, String> {
    fn walk(block: &Block, depth: usize, letters: &mut HashMap<LoopId, String>) {
        for node in &block.nodes {
            match &node.kind {
                NodeKind::For(repeat) => {
                    letters.extend(repeat.ids.iter().map(|&id| (id, loop_letter(depth))));
                    walk(&repeat.body, depth + 1, letters);
                }
                NodeKind::Branch(branch) => {
                    walk(&branch.then_block, depth, letters);
                    walk(&branch.else_block, depth, letters);
                }
                NodeKind::Op(_) | NodeKind::Model(_) => {}
            }
        }
    }
    let mut letters = HashMap::new();
    walk(&graph.body, 0, &mut letters);
    letters
}

/// Tokens as the user would write them: without the spaces that `TokenStream` puts everywhere.
pub fn source_text(tokens: &TokenStream) -> String {
    // Long ones are broken into lines.
    let spaced = tokens.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = String::new();
    let mut characters = spaced.chars().peekable();
    while let Some(character) = characters.next() {
        let glued = text.ends_with(['.', '!', '&', '<', '(', '[', ':'])
            || matches!(characters.peek(), Some('.' | ',' | '(' | ')' | ']' | '<' | '>' | ';' | ':'));
        if character != ' ' || !glued {
            text.push(character);
        }
    }
    text
}

#[derive(Default)]
struct Printer {
    text: String,
    indent: usize,
    numbers: HashMap<ValueId, usize>,
    letters: HashMap<LoopId, String>,
    loop_depth: usize,
}

impl Printer {
    fn line(&mut self, line: &str) {
        let indent = "  ".repeat(self.indent);
        let _ = writeln!(self.text, "{indent}{line}");
    }

    fn value(&self, value: ValueId) -> String {
        match self.numbers.get(&value) {
            Some(number) => format!("%{number}"),
            None => format!("%?{}", value.0),
        }
    }

    fn values(&self, values: &[ValueId]) -> String {
        let values: Vec<String> = values.iter().map(|&value| self.value(value)).collect();
        values.join(", ")
    }

    fn block(&mut self, block: &Block) {
        for node in &block.nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Op(op) => self.op(op),
            NodeKind::Model(model) => self.model(model),
            NodeKind::For(repeat) => self.repeat(repeat),
            NodeKind::Branch(branch) => self.branch(branch),
        }
    }

    fn op(&mut self, op: &OpNode) {
        let members: Vec<String> = op.members.iter().map(|member| self.member(op, member)).collect();
        let mut inputs = self.values(&op.operands);
        if let Some(Callee::Function(call)) = op.members.first().map(|member| &member.callee) {
            let arguments = self.arguments(call, op);
            if !arguments.is_empty() {
                let _ = write!(inputs, "; {arguments}");
            }
        }
        let line = format!(
            "{} = {} self.{}({inputs})",
            self.values(&op.results()),
            operation_name(op),
            members.join("+")
        );
        self.line(&line);
    }

    fn member(&self, op: &OpNode, member: &Member) -> String {
        let is_first = op.members.first().is_some_and(|first| first.result == member.result);
        match &member.callee {
            Callee::Layer(layer) => place_text(&layer.place, &self.letters),
            Callee::Function(_) if is_first => op.name().to_owned(),
            Callee::Function(call) => call.function.name.to_owned(),
        }
    }

    fn arguments(&self, call: &FunctionCall, op: &OpNode) -> String {
        let arguments: Vec<String> = call
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::Expr(tokens) => source_text(tokens),
                Argument::Extents(extents) => {
                    let extents: Vec<String> =
                        extents.iter().map(|extent| self.extent(extent, &op.shape_operands)).collect();
                    format!("[{}]", extents.join(", "))
                }
                Argument::Tensor(None) => "None".to_owned(),
                Argument::Tensor(Some(operand)) => self.operand(op.operands.get(*operand)),
                Argument::Piece(piece) => format!("piece {piece}"),
            })
            .collect();
        arguments.join(", ")
    }

    fn operand(&self, value: Option<&ValueId>) -> String {
        value.map_or_else(|| "%?".to_owned(), |&value| self.value(value))
    }

    fn extent(&self, extent: &Extent, shape_operands: &[ValueId]) -> String {
        match extent {
            Extent::Arithmetic { operator, operands } => {
                let [left, right] = operands.each_ref().map(|operand| self.extent(operand, shape_operands));
                format!("({left} {} {right})", operator.symbol())
            }
            Extent::Expr(tokens) => source_text(tokens),
            Extent::SizeOf { shape_operand, dim } => {
                format!("{}.size({})", self.operand(shape_operands.get(*shape_operand)), source_text(dim))
            }
        }
    }

    fn model(&mut self, model: &ModelNode) {
        let ty = &model.place.ty;
        let line = format!(
            "{} = model {} self.{}({})",
            self.values(&model.results),
            source_text(&quote::quote!(#ty)),
            place_text(&model.place, &self.letters),
            self.values(&model.operands)
        );
        self.line(&line);
    }

    fn repeat(&mut self, repeat: &ForNode) {
        let letter = loop_letter(self.loop_depth);
        self.letters.extend(repeat.ids.iter().map(|&id| (id, letter.clone())));
        let carried = |printer: &Self, carried: &Carried| {
            format!("{} = {}", printer.value(carried.entry), printer.value(carried.initial))
        };
        let entries: Vec<String> = repeat.carried.iter().map(|each| carried(self, each)).collect();
        let results: Vec<ValueId> = repeat.carried.iter().map(|carried| carried.result).collect();
        let line = format!(
            "{} = for {} in {} ({}) {{",
            self.values(&results),
            letter,
            source_text(&repeat.iterable),
            entries.join(", ")
        );
        self.line(&line);
        self.indent += 1;
        self.loop_depth += 1;
        self.block(&repeat.body);
        let next: Vec<ValueId> = repeat.carried.iter().map(|carried| carried.next).collect();
        self.line(&format!("next {}", self.values(&next)));
        self.loop_depth -= 1;
        self.indent -= 1;
        self.line("}");
    }

    fn branch(&mut self, branch: &BranchNode) {
        let results: Vec<ValueId> = branch.merged.iter().map(|merged| merged.result).collect();
        let bound = if results.is_empty() { String::new() } else { format!("{} = ", self.values(&results)) };
        self.line(&format!("{bound}if {} {{", condition_text(&branch.condition)));
        let then_values: Vec<ValueId> = branch.merged.iter().map(|merged| merged.then_value).collect();
        let else_values: Vec<ValueId> = branch.merged.iter().map(|merged| merged.else_value).collect();
        self.arm(&branch.then_block, &then_values);
        self.line("} else {");
        self.arm(&branch.else_block, &else_values);
        self.line("}");
    }

    fn arm(&mut self, block: &Block, yielded: &[ValueId]) {
        self.indent += 1;
        self.block(block);
        if !yielded.is_empty() {
            self.line(&format!("yield {}", self.values(yielded)));
        }
        self.indent -= 1;
    }
}

/// `self.downsample is some`, `self.use_shortcut`.
pub fn condition_text(condition: &Condition) -> String {
    match condition {
        Condition::Flag(flag) => source_text(flag),
        Condition::IsSome { option, .. } => format!("{} is some", source_text(option)),
        Condition::Matches { scrutinee, pattern, .. } => {
            format!("{} is {}", source_text(scrutinee), source_text(pattern))
        }
    }
}
