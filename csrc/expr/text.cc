#include "expr/text.h"

#include <algorithm>
#include <unordered_set>

#include "base/layout.h"

namespace spanflow::expr {
namespace {

constexpr int kDepth = 8;

const char* SymbolOf(simd::Op op) {
  using enum simd::Op;
  switch (op) {
    case kAdd:
      return " + ";
    case kSubtract:
      return " - ";
    case kMultiply:
      return " * ";
    case kDivide:
      return " / ";
    case kEqual:
      return " == ";
    case kNotEqual:
      return " != ";
    case kLess:
      return " < ";
    case kLessEqual:
      return " <= ";
    case kGreater:
      return " > ";
    case kGreaterEqual:
      return " >= ";
    case kBitwiseAnd:
      return " & ";
    case kBitwiseOr:
      return " | ";
    case kBitwiseXor:
      return " ^ ";
    default:
      return nullptr;
  }
}

std::string Text(const Node& node, int depth);

std::string Operand(const Node& node, int depth) {
  const bool is_infix = node.type == NodeType::kOp && SymbolOf(node.op) != nullptr;
  return is_infix && depth > 0 ? "(" + Text(node, depth) + ")" : Text(node, depth);
}

std::string Call(const std::string& name, const Node& node, int depth) {
  std::string text = name + "(";
  for (size_t i = 0; i < node.operands.size(); ++i) {
    text += (i == 0 ? "" : ", ") + Text(*node.operands[i], depth);
  }
  return text;
}

std::string ReduceText(const Node& node, int depth) {
  std::string text = Call(simd::InfoOf(node.reduction).name, node, depth);
  if (node.axes) text += ", axis=" + base::ToString(base::Dims(std::span(*node.axes)));
  if (node.keepdims) text += ", keepdims=True";
  return text + ")";
}

std::string Text(const Node& node, int depth) {
  switch (node.type) {
    case NodeType::kArray:
      return node.array.dtype().ToString() + base::ToString(node.array.layout.shape);
    case NodeType::kColumn:
      return node.name;
    case NodeType::kNumber:
      return ToString(node.number);
    default:
      break;
  }
  if (depth == 0) return "…";
  switch (node.type) {
    case NodeType::kCast:
      return Operand(*node.operands[0], depth - 1) + ".astype(" + base::InfoOf(node.kind).name +
             ")";
    case NodeType::kFilter:
      return Operand(*node.operands[0], depth - 1) + "[" + Text(*node.operands[1], depth - 1) + "]";
    case NodeType::kReduce:
      return ReduceText(node, depth - 1);
    default:
      break;
  }
  if (const char* symbol = SymbolOf(node.op); symbol != nullptr) {
    return Operand(*node.operands[0], depth - 1) + symbol + Operand(*node.operands[1], depth - 1);
  }
  return Call(simd::InfoOf(node.op).name, node, depth - 1) + ")";
}

}  // namespace

std::string ToString(const Node& node) { return Text(node, kDepth); }

std::vector<std::string> ColumnsOf(const Node& root) {
  std::vector<std::string> names;
  std::vector<const Node*> waiting{&root};
  std::unordered_set<const Node*> seen;
  while (!waiting.empty()) {
    const Node* node = waiting.back();
    waiting.pop_back();
    if (!seen.insert(node).second) continue;
    if (node->type == NodeType::kColumn && std::ranges::find(names, node->name) == names.end()) {
      names.push_back(node->name);
    }
    for (size_t i = node->operands.size(); i-- > 0;) waiting.push_back(node->operands[i].get());
  }
  return names;
}

}  // namespace spanflow::expr
