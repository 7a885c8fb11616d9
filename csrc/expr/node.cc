#include "expr/node.h"

#include <charconv>
#include <cstring>
#include <utility>

#include "simd/kernels.h"

namespace spanflow::expr {
namespace {

using array::Weak;
using base::Kind;
using base::Status;

std::string DoubleText(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof(text), value).ptr};
}

std::string IntegerText(const Number& number) {
  return number.is_large ? std::to_string(static_cast<uint64_t>(number.integer))
                         : std::to_string(number.integer);
}

// What the number is before it takes another kind.
Kind OwnKind(const Number& number) {
  switch (number.weak) {
    case Weak::kFloat:
      return Kind::kF64;
    case Weak::kComplex:
      return Kind::kC128;
    default:
      return number.is_large ? Kind::kU64 : Kind::kI64;
  }
}

}  // namespace

bool Fits(const Number& number, Kind kind) {
  if (!base::IsInteger(kind) || number.weak > Weak::kInt) return true;
  const int bits = 8 * base::InfoOf(kind).itemsize;
  if (base::IsUnsigned(kind)) {
    if (!number.is_large && number.integer < 0) return false;
    return bits == 64 || static_cast<uint64_t>(number.integer) >> bits == 0;
  }
  const int64_t most = static_cast<int64_t>((uint64_t{1} << (bits - 1)) - 1);
  return !number.is_large && number.integer <= most && number.integer >= -most - 1;
}

Status WriteNumber(const Number& number, Kind kind, std::byte* item) {
  if (!Fits(number, kind)) {
    return Status::Overflow("Python integer " + IntegerText(number) + " out of bounds for " +
                            base::InfoOf(kind).name);
  }
  const double parts[2] = {number.re, number.im};
  const bool is_whole = number.weak <= Weak::kInt;
  const void* const from = is_whole ? static_cast<const void*>(&number.integer) : parts;
  simd::FindCast(OwnKind(number), kind)(from, item, 1);
  return Status::Ok();
}

std::string ToString(const Number& number) {
  switch (number.weak) {
    case Weak::kBool:
      return number.integer != 0 ? "True" : "False";
    case Weak::kFloat:
      return DoubleText(number.re);
    case Weak::kComplex:
      return DoubleText(number.re) + (number.im < 0 ? "" : "+") + DoubleText(number.im) + "j";
    default:
      return IntegerText(number);
  }
}

Node::~Node() {
  std::vector<NodeRef> waiting = std::move(operands);
  while (!waiting.empty()) {
    const NodeRef last = std::move(waiting.back());
    waiting.pop_back();
    // Nobody else can see a node of one reference, so its operands may be taken from it. Taking a
    // second one for a moment orders what is done here after what the last other owner did.
    if (last.use_count() != 1) continue;
    NodeRef(last).reset();
    auto& inner = const_cast<Node*>(last.get())->operands;
    for (NodeRef& operand : inner) waiting.push_back(std::move(operand));
    inner.clear();
  }
}

NodeRef FromArray(array::View view) {
  const auto node = std::make_shared<Node>(NodeType::kArray);
  node->array = std::move(view);
  return node;
}

NodeRef FromColumn(std::string name) {
  const auto node = std::make_shared<Node>(NodeType::kColumn);
  node->name = std::move(name);
  return node;
}

NodeRef FromNumber(const Number& number) {
  const auto node = std::make_shared<Node>(NodeType::kNumber);
  node->number = number;
  return node;
}

NodeRef Apply(simd::Op op, std::vector<NodeRef> operands) {
  const auto node = std::make_shared<Node>(NodeType::kOp);
  node->op = op;
  node->operands = std::move(operands);
  return node;
}

NodeRef Cast(NodeRef operand, Kind kind) {
  const auto node = std::make_shared<Node>(NodeType::kCast);
  node->kind = kind;
  node->operands.push_back(std::move(operand));
  return node;
}

NodeRef Filter(NodeRef operand, NodeRef mask) {
  const auto node = std::make_shared<Node>(NodeType::kFilter);
  node->operands = {std::move(operand), std::move(mask)};
  return node;
}

NodeRef Reduce(simd::Reduction reduction, NodeRef operand, ReduceOptions options) {
  const auto node = std::make_shared<Node>(NodeType::kReduce);
  node->reduction = reduction;
  node->operands.push_back(std::move(operand));
  node->axes = std::move(options.axes);
  node->keepdims = options.keepdims;
  node->ddof = options.ddof;
  return node;
}

}  // namespace spanflow::expr
