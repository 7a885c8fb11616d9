#include "expr/text.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

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

bool IsInfix(const Node& node) {
  return node.type == NodeType::kOp && SymbolOf(node.op) != nullptr;
}

// One node; text(operand) gives that of an operand, in brackets where it needs them if `part`.
template <class OperandText>
std::string NodeText(const Node& node, const OperandText& text) {
  const auto operand = [&](size_t i, bool is_part) { return text(*node.operands[i], is_part); };
  const auto call = [&](const char* name) {
    std::string made = std::string(name) + "(";
    for (size_t i = 0; i < node.operands.size(); ++i) {
      made += (i == 0 ? "" : ", ") + operand(i, false);
    }
    return made;
  };
  switch (node.type) {
    case NodeType::kArray:
      return node.array.dtype().ToString() + base::ToString(node.array.layout.shape);
    case NodeType::kColumn:
      return node.name;
    case NodeType::kNumber:
      return ToString(node.number);
    case NodeType::kCast:
      return operand(0, true) + ".astype(" + base::InfoOf(node.kind).name + ")";
    case NodeType::kFilter:
      return operand(0, true) + "[" + operand(1, false) + "]";
    case NodeType::kReduce: {
      std::string made = call(simd::InfoOf(node.reduction).name);
      if (node.axes) made += ", axis=" + base::ToString(base::Dims(std::span(*node.axes)));
      if (node.keepdims) made += ", keepdims=True";
      return made + ")";
    }
    case NodeType::kOp:
      break;
  }
  if (IsInfix(node)) return operand(0, true) + SymbolOf(node.op) + operand(1, true);
  return call(simd::InfoOf(node.op).name) + ")";
}

std::string Text(const Node& node, int depth) {
  if (depth == 0 && !node.operands.empty()) return "…";
  return NodeText(node, [depth](const Node& operand, bool is_part) {
    const std::string text = Text(operand, depth - 1);
    return is_part && depth > 1 && IsInfix(operand) ? "(" + text + ")" : text;
  });
}

const char* RoleOf(const Node& node) {
  switch (node.type) {
    case NodeType::kArray:
    case NodeType::kColumn:
      return "source";
    case NodeType::kFilter:
      return "filter";
    case NodeType::kReduce:
      return "reduction";
    default:
      return "operation";
  }
}

}  // namespace

std::string ToString(const Node& node) { return Text(node, kDepth); }

std::vector<Part> PartsOf(const Node& root) {
  std::vector<Part> parts;
  std::unordered_map<const Node*, size_t> places;
  std::vector<const Node*> waiting{&root};
  while (!waiting.empty()) {
    const Node* node = waiting.back();
    const size_t before = waiting.size();
    for (size_t i = node->operands.size(); i-- > 0;) {
      const Node* operand = node->operands[i].get();
      const bool is_drawn = operand->type != NodeType::kNumber;
      if (is_drawn && !places.contains(operand)) waiting.push_back(operand);
    }
    if (waiting.size() != before) continue;  // the operands first
    waiting.pop_back();
    if (!places.try_emplace(node, parts.size()).second) continue;
    Part part{RoleOf(*node), "", {}};
    part.text = NodeText(*node, [](const Node& operand, bool) {
      return operand.type == NodeType::kNumber ? ToString(operand.number) : "·";
    });
    for (const NodeRef& operand : node->operands) {
      const auto found = places.find(operand.get());
      if (found != places.end()) part.operands.push_back(found->second);
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

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
