#include "expr/graph.h"

#include <cstring>
#include <limits>
#include <unordered_map>
#include <utility>

#include "base/layout.h"
#include "simd/kernels.h"

namespace spanflow::expr {
namespace {

using array::OperandType;
using array::Weak;
using base::Dims;
using base::Kind;
using base::Result;
using base::Status;

// Everything by which two values differ.
using Key = std::vector<uint64_t>;

struct KeyHash {
  size_t operator()(const Key& key) const {  // Fowler, Noll and Vo (FNV-1a), by words
    uint64_t hash = 0xcbf29ce484222325;
    for (const uint64_t word : key) hash = (hash ^ word) * 0x100000001b3;
    return static_cast<size_t>(hash);
  }
};

uint64_t Bits(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

class Resolver {
 public:
  Resolver(std::span<const NodeRef> roots, std::span<const Column> columns)
      : roots_(roots), columns_(columns) {}

  Result<Graph> Run() {
    for (const NodeRef& root : roots_) {
      SPANFLOW_TRY(Visit(root.get()));
      graph_.roots.push_back(ids_.at(root.get()));
    }
    return std::move(graph_);
  }

 private:
  // Operands first, without recursion: graphs may be deep.
  Status Visit(const Node* root) {
    std::vector<std::pair<const Node*, size_t>> path{{root, 0}};
    while (!path.empty()) {
      auto& [node, next] = path.back();
      if (ids_.contains(node)) {
        path.pop_back();
      } else if (next < node->operands.size()) {
        const Node* operand = node->operands[next++].get();
        if (operand->type != NodeType::kNumber) path.emplace_back(operand, 0);
      } else {
        SPANFLOW_ASSIGN(const ValueId id, Make(*node));
        ids_.emplace(node, id);
        path.pop_back();
      }
    }
    return Status::Ok();
  }

  // The value with this key, which is added if there is none yet.
  ValueId Intern(Key key, Value value) {
    const auto next = static_cast<ValueId>(graph_.values.size());
    const auto [place, is_new] = known_.try_emplace(std::move(key), next);
    if (is_new) graph_.values.push_back(std::move(value));
    return place->second;
  }

  const Value& At(ValueId id) const { return graph_[id]; }

  Result<ValueId> Make(const Node& node) {
    switch (node.type) {
      case NodeType::kArray:
        return MakeArray(node, {&node.array, 0, node.array.layout});
      case NodeType::kColumn:
        return MakeColumn(node);
      case NodeType::kNumber:  // alone: what an array of it would be
        return MakeNumber(node, node.number, KindOf(node.number));
      case NodeType::kOp:
        return MakeOp(node);
      case NodeType::kCast:
        return MakeCast(ids_.at(node.operands[0].get()), node.kind, &node);
      case NodeType::kFilter:
        return MakeFilter(node);
      case NodeType::kReduce:
        return MakeReduce(node);
    }
    return Status::Type("unknown node");
  }

  Result<ValueId> MakeColumn(const Node& node) {
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].name != node.name) continue;
      return MakeArray(node, {nullptr, i, columns_[i].view->layout});
    }
    std::string known;
    for (const Column& column : columns_) known += (known.empty() ? "" : ", ") + column.name;
    return Status::Value("column '" + node.name + "' is not given" +
                         (known.empty() ? "; pass it by name" : "; given are " + known));
  }

  Result<ValueId> MakeArray(const Node& node, Source source) {
    const base::Layout& layout = source.layout;
    if (!layout.dtype.numeric()) {
      return Status::Type("expressions work on numbers, not on " + layout.dtype.ToString() +
                          "; take one field, as in a['x']");
    }
    Value value;
    value.node = &node;
    value.type = NodeType::kArray;
    value.kind = layout.dtype.kind();
    value.shape = layout.shape;
    value.index = graph_.sources.size();
    const std::byte* const data = source.array != nullptr ? source.array->data : nullptr;
    Key key{static_cast<uint64_t>(value.type), reinterpret_cast<uintptr_t>(data), source.column,
            static_cast<uint64_t>(value.kind), layout.dtype.swapped()};
    for (int i = 0; i < layout.ndim(); ++i) {
      key.push_back(static_cast<uint64_t>(layout.shape[i]));
      key.push_back(static_cast<uint64_t>(layout.strides[i]));
    }
    const size_t count = graph_.values.size();
    const ValueId id = Intern(std::move(key), std::move(value));
    if (graph_.values.size() != count) graph_.sources.push_back(std::move(source));
    return id;
  }

  static Kind KindOf(const Number& number) {
    const OperandType type{{}, number.weak};
    return array::PromoteOperands({&type, 1});
  }

  Result<ValueId> MakeNumber(const Node& node, const Number& number, Kind kind) {
    Value value;
    value.node = &node;
    value.type = NodeType::kNumber;
    value.kind = kind;
    SPANFLOW_TRY(WriteNumber(number, kind, value.item.data()));
    Key key{static_cast<uint64_t>(value.type), static_cast<uint64_t>(kind)};
    uint64_t words[2];
    std::memcpy(words, value.item.data(), sizeof(words));
    key.insert(key.end(), words, words + 2);
    return Intern(std::move(key), std::move(value));
  }

  ValueId MakeCast(ValueId operand, Kind kind, const Node* node) {
    if (At(operand).kind == kind) return operand;
    Value value = Like(operand);
    value.node = node;
    value.type = NodeType::kCast;
    value.kind = kind;
    value.operands[0] = operand;
    return Intern({static_cast<uint64_t>(value.type), static_cast<uint64_t>(operand),
                   static_cast<uint64_t>(kind)},
                  std::move(value));
  }

  // Of the same shape, domain and pass.
  Value Like(ValueId operand) const {
    Value value;
    value.shape = At(operand).shape;
    value.domain = At(operand).domain;
    value.pass = PassAfter(operand);
    return value;
  }

  int PassAfter(ValueId operand) const {
    return At(operand).pass + (At(operand).type == NodeType::kReduce ? 1 : 0);
  }

  OperandType TypeOf(const Node& operand) const {
    if (operand.type == NodeType::kNumber) return {{}, operand.number.weak};
    return {At(ids_.at(&operand)).kind, Weak::kNone};
  }

  // A Python int compares by value. One that the integers beside it do not reach is replaced by an
  // infinity, which lies on the same side of them.
  static void ReplaceOutOfReach(std::span<OperandType> types, std::span<Number> numbers) {
    const Kind common = array::PromoteOperands(types);
    for (size_t i = 0; i < types.size(); ++i) {
      if (types[i].weak != Weak::kInt || Fits(numbers[i], common)) continue;
      const bool is_below = !numbers[i].is_large && numbers[i].integer < 0;
      numbers[i].weak = Weak::kFloat;
      numbers[i].re = std::numeric_limits<double>::infinity() * (is_below ? -1 : 1);
      types[i] = {Kind::kF64, Weak::kNone};
    }
  }

  // Integers have no power below zero, which a pass cannot find out and stop in the middle.
  static Status CheckExponent(const OperandType& type, const Number& number) {
    if (type.weak == Weak::kInt && number.integer < 0 && !number.is_large) {
      return Status::Value("Integers to negative integer powers are not allowed.");
    }
    if (type.weak == Weak::kNone && base::IsSigned(type.kind)) {
      return Status::Type(
          "power() of integers in an expression takes a number or unsigned integers as its "
          "exponent; cast one of them to float");
    }
    return Status::Ok();
  }

  Result<ValueId> MakeOp(const Node& node) {
    const simd::OpInfo& info = simd::InfoOf(node.op);
    const size_t arity = node.operands.size();
    OperandType types[3];
    Number numbers[3];
    for (size_t i = 0; i < arity; ++i) {
      types[i] = TypeOf(*node.operands[i]);
      if (types[i].weak != Weak::kNone) numbers[i] = node.operands[i]->number;
    }
    if (info.rule == simd::TypeRule::kCompare) {
      ReplaceOutOfReach(std::span(types).first(arity), std::span(numbers).first(arity));
    }
    SPANFLOW_ASSIGN(const array::OpTypes resolved,
                    array::ResolveOp(node.op, std::span(types).first(arity)));
    if (node.op == simd::Op::kPower && base::IsInteger(resolved.compute)) {
      SPANFLOW_TRY(CheckExponent(types[1], numbers[1]));
    }
    Value value;
    value.node = &node;
    value.type = NodeType::kOp;
    value.kind = resolved.result;
    value.compute = resolved.compute;
    Kind kinds[3] = {resolved.compute, resolved.compute, resolved.compute};
    if (info.rule == simd::TypeRule::kSelect) kinds[0] = Kind::kBool;
    if (info.rule == simd::TypeRule::kCompare && resolved.compute == Kind::kF64) {
      value.is_mixed = FindMixed(node.op, types, kinds);
    }
    for (size_t i = 0; i < arity; ++i) {
      if (node.operands[i]->type == NodeType::kNumber) {
        SPANFLOW_ASSIGN(value.operands[i], MakeNumber(*node.operands[i], numbers[i], kinds[i]));
      } else {
        value.operands[i] = MakeCast(ids_.at(node.operands[i].get()), kinds[i], nullptr);
      }
    }
    SPANFLOW_TRY(Combine(info.name, arity, &value));
    return Intern(
        {static_cast<uint64_t>(value.type), static_cast<uint64_t>(node.op),
         static_cast<uint64_t>(value.operands[0]), static_cast<uint64_t>(value.operands[1]),
         static_cast<uint64_t>(value.operands[2])},
        std::move(value));
  }

  static bool FindMixed(simd::Op op, const OperandType* types, Kind* kinds) {
    if (types[0].weak != Weak::kNone || types[1].weak != Weak::kNone) return false;
    const simd::MixedCompare mixed = simd::FindMixedCompare(op, types[0].kind, types[1].kind);
    if (mixed.run == nullptr) return false;
    kinds[0] = mixed.first;
    kinds[1] = mixed.second;
    return true;
  }

  // The shape, domain and pass that operands give together. One element goes with any domain.
  Status Combine(const char* name, size_t arity, Value* value) {
    const Dims* shapes[3];
    bool has_domain = false;
    for (size_t i = 0; i < arity; ++i) {
      const Value& operand = At(value->operands[i]);
      shapes[i] = &operand.shape;
      value->pass = std::max(value->pass, PassAfter(value->operands[i]));
      const bool is_one = operand.shape.empty() && operand.domain == kNoValue;
      if (is_one) continue;
      if (has_domain && operand.domain != value->domain) {
        return Status::Value(
            std::string(name) +
            "() of values that were filtered by different masks; filter the result "
            "instead");
      }
      value->domain = operand.domain;
      has_domain = true;
    }
    SPANFLOW_ASSIGN(value->shape, base::BroadcastShapes({shapes, arity}));
    return Status::Ok();
  }

  Result<ValueId> MakeFilter(const Node& node) {
    const ValueId operand = ids_.at(node.operands[0].get());
    const ValueId mask = ids_.at(node.operands[1].get());
    if (At(mask).kind != Kind::kBool) {
      return Status::Type(std::string("an expression is filtered by a bool mask, not by ") +
                          base::InfoOf(At(mask).kind).name);
    }
    if (!(At(operand).shape == At(mask).shape) || At(operand).domain != At(mask).domain) {
      return Status::Value("the mask has shape " + base::ToString(At(mask).shape) +
                           ", the expression " + base::ToString(At(operand).shape));
    }
    Value value = Like(operand);
    value.node = &node;
    value.type = NodeType::kFilter;
    value.kind = At(operand).kind;
    value.operands = {operand, mask, kNoValue};
    value.pass = std::max(value.pass, PassAfter(mask));
    value.domain = mask;
    return Intern({static_cast<uint64_t>(value.type), static_cast<uint64_t>(operand),
                   static_cast<uint64_t>(mask)},
                  std::move(value));
  }

  Result<ValueId> MakeReduce(const Node& node) {
    const ValueId operand = ids_.at(node.operands[0].get());
    SPANFLOW_ASSIGN(const Kind kind, array::ResolveReduction(node.reduction, At(operand).kind));
    const bool is_filtered = At(operand).domain != kNoValue;
    const int ndim = is_filtered ? 1 : At(operand).shape.size();
    Value value;
    value.node = &node;
    value.type = NodeType::kReduce;
    value.kind = kind;
    value.operands[0] = operand;
    value.pass = PassAfter(operand);
    value.axes = array::AllAxes(ndim);
    if (node.axes) {
      value.axes.reset();
      for (const int64_t axis : *node.axes) {
        SPANFLOW_ASSIGN(const int normal, base::NormalizeAxis(axis, ndim));
        if (value.axes[static_cast<size_t>(normal)]) {
          return Status::Value("duplicate value in 'axis'");
        }
        value.axes.set(static_cast<size_t>(normal));
      }
    }
    value.shape = is_filtered ? Dims(node.keepdims ? 1 : 0, 1)
                              : array::ReducedShape(At(operand).shape, value.axes, node.keepdims);
    Key key{static_cast<uint64_t>(value.type),
            static_cast<uint64_t>(node.reduction),
            static_cast<uint64_t>(operand),
            value.axes.to_ullong(),
            node.keepdims,
            Bits(node.ddof)};
    value.index = graph_.reductions.size();
    const size_t count = graph_.values.size();
    const ValueId id = Intern(std::move(key), std::move(value));
    if (graph_.values.size() != count) graph_.reductions.push_back(id);
    return id;
  }

  std::span<const NodeRef> roots_;
  std::span<const Column> columns_;
  Graph graph_;
  std::unordered_map<const Node*, ValueId> ids_;
  std::unordered_map<Key, ValueId, KeyHash> known_;
};

}  // namespace

Result<Graph> Resolve(std::span<const NodeRef> roots, std::span<const Column> columns) {
  return Resolver(roots, columns).Run();
}

}  // namespace spanflow::expr
