// How expressions pickle: as the list of their nodes, which spanflow._restore builds again.

#include <unordered_map>
#include <vector>

#include "bindings/compute.h"
#include "bindings/dtype_object.h"
#include "bindings/expression.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Ref;
using expr::Node;
using expr::NodeType;

Ref NumberObject(const expr::Number& number) {
  switch (number.weak) {
    case array::Weak::kBool:
      return Ref::Borrow(number.integer != 0 ? Py_True : Py_False);
    case array::Weak::kFloat:
      return Check(PyFloat_FromDouble(number.re));
    case array::Weak::kComplex:
      return Check(PyComplex_FromDoubles(number.re, number.im));
    default:
      return number.is_large
                 ? Check(PyLong_FromUnsignedLongLong(static_cast<uint64_t>(number.integer)))
                 : Check(PyLong_FromLongLong(number.integer));
  }
}

// Walks the graph without recursion, operands first, each node once.
class Steps {
 public:
  explicit Steps(ModuleState* state)
      : state_(state), module_(Check(PyImport_ImportModule("spanflow._core"))) {}

  Ref Of(PyObject* expression) {
    waiting_.push_back({AsExpression(expression)->node.get(), expression});
    while (!waiting_.empty()) {
      const Place place = waiting_.back();
      if (PushOperands(place)) continue;
      waiting_.pop_back();
      if (!numbers_.try_emplace(place.node, numbers_.size()).second) continue;
      capi::CheckStatus(PyList_Append(list_.get(), StepOf(place).get()));
    }
    return std::move(list_);
  }

 private:
  // A node and the object that it is part of: an expression, an array, or null for a number.
  struct Place {
    const Node* node;
    PyObject* owner;
  };

  bool PushOperands(const Place& place) {
    const size_t before = waiting_.size();
    for (size_t i = place.node->operands.size(); i-- > 0;) {
      const Node* operand = place.node->operands[i].get();
      if (!numbers_.contains(operand)) {
        waiting_.push_back({operand, AsExpression(place.owner)->parts[i]});
      }
    }
    return waiting_.size() != before;
  }

  Ref Operands(const Node& node) const {
    std::vector<Ref> numbers;
    for (const expr::NodeRef& operand : node.operands) {
      numbers.push_back(Check(PyLong_FromSize_t(numbers_.at(operand.get()))));
    }
    return TupleOf(std::move(numbers));
  }

  Ref Operation(const char* name) const {
    return Check(PyObject_GetAttrString(module_.get(), name));
  }

  Ref StepOf(const Place& place) const {
    const Node& node = *place.node;
    switch (node.type) {
      case NodeType::kArray: {
        const bool is_array = IsArray(state_, place.owner);
        PyObject* array = is_array ? place.owner : AsExpression(place.owner)->parts[0];
        return Check(Py_BuildValue("(sO)", "array", array));
      }
      case NodeType::kColumn:
        return Check(Py_BuildValue("(ss#)", "column", node.name.data(),
                                   static_cast<Py_ssize_t>(node.name.size())));
      case NodeType::kNumber:
        return Check(Py_BuildValue("(sN)", "number", NumberObject(node.number).release()));
      case NodeType::kOp:
        return Check(Py_BuildValue("(sNN)", "apply",
                                   Operation(simd::InfoOf(node.op).name).release(),
                                   Operands(node).release()));
      case NodeType::kCast:
        return Check(Py_BuildValue("(sNN)", "cast",
                                   WrapDType(state_, base::DType(node.kind)).release(),
                                   Operands(node).release()));
      case NodeType::kFilter:
        return Check(Py_BuildValue("(sN)", "filter", Operands(node).release()));
      case NodeType::kReduce:
        return ReductionStep(node);
    }
    return capi::None();
  }

  Ref ReductionStep(const Node& node) const {
    const Ref axes = node.axes ? DimsTuple(base::Dims(std::span(*node.axes))) : capi::None();
    return Check(Py_BuildValue(
        "(sNNOOd)", "reduce", Operation(simd::InfoOf(node.reduction).name).release(),
        Operands(node).release(), axes.get(), node.keepdims ? Py_True : Py_False, node.ddof));
  }

  ModuleState* const state_;
  const Ref module_;
  Ref list_ = Check(PyList_New(0));
  std::unordered_map<const Node*, size_t> numbers_;
  std::vector<Place> waiting_;
};

}  // namespace

Ref ReduceExpression(PyObject* self, PyObject*) {
  const Ref steps = Steps(AsExpression(self)->state).Of(self);
  const Ref module = Check(PyImport_ImportModule("spanflow._restore"));
  const Ref restore = Check(PyObject_GetAttrString(module.get(), "expression"));
  return Check(Py_BuildValue("(O(O))", restore.get(), steps.get()));
}

}  // namespace spanflow::bindings
