// spanflow.Expression: what is to be computed, as an object that operators, methods and operations
// extend.
//
// Owns: one node of the graph, and the arrays and expressions that it was made of.
// Threads: immutable. Attached: always; large work detaches inside.
// Fails: TypeError and ValueError when computed, not when made.
#pragma once

#include <span>
#include <vector>

#include "bindings/operation.h"
#include "expr/node.h"

namespace spanflow::bindings {

class ComputationCache;

struct ExpressionObject {
  PyObject_HEAD
  ModuleState* state;
  PyObject* parts[3];  // arrays and expressions that the node's operands come from; may be null
  expr::NodeRef node;
  ComputationCache* last;  // what computed it last
};

inline ExpressionObject* AsExpression(PyObject* object) {
  return reinterpret_cast<ExpressionObject*>(object);
}

// Makes the type and adds it to the module.
PyTypeObject* MakeExpressionType(PyObject* module);
extern PyMethodDef expression_functions[];

inline bool IsExpression(const ModuleState* state, PyObject* object) {
  return Py_TYPE(object) == state->expression_type;
}
// The nodes of objects that must be expressions; `name` is the function that errors name.
std::vector<expr::NodeRef> NodesFrom(const ModuleState* state, const char* name,
                                     std::span<PyObject* const> objects);
bool HasExpression(const ModuleState* state, std::span<PyObject* const> operands);

// The method __reduce__() of expressions: their nodes in the order of computing, each as a tuple.
capi::Ref ReduceExpression(PyObject* self, PyObject* unused);

// What an operation or reduction gives when an operand is an expression. `out` must not be given.
capi::Ref LazyOperation(ModuleState* state, simd::Op op, std::span<PyObject* const> operands,
                        PyObject* out);
capi::Ref LazyReduction(ModuleState* state, simd::Reduction reduction, PyObject* object,
                        const ReductionCall& call);

}  // namespace spanflow::bindings
