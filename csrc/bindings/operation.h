// spanflow.Operation: sf.add, sf.sqrt, sf.mean, … - a row of the operation tables (simd/ops.h) as a
// Python callable. Operators and methods of Array, and native pipeline stages, go through the same
// functions.
//
// Owns: nothing. Threads: immutable. Attached: always; large work detaches inside.
// Fails: TypeError (operands, casting), ValueError (shapes), OverflowError (a Python int that does
// not fit the arrays' dtype).
#pragma once

#include <array>
#include <span>
#include <vector>

#include "array/reduce.h"
#include "bindings/array_object.h"
#include "simd/ops.h"

namespace spanflow::bindings {

struct OperationObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  ModuleState* state;
  bool is_reduction;
  uint8_t index;  // into simd::kOps or simd::kReductions

  simd::Op op() const { return static_cast<simd::Op>(index); }
  simd::Reduction reduction() const { return static_cast<simd::Reduction>(index); }
};

extern PyType_Spec operation_spec;

// One Operation for every row of the tables, added to the module under its name.
void AddOperations(PyObject* module, ModuleState* state);

// op(operands…); `out` may be null. A 0-d result without `out` is a Python scalar.
capi::Ref ApplyOperation(ModuleState* state, simd::Op op, std::span<PyObject* const> operands,
                         PyObject* out);

// The same for operators: NotImplemented when an operand is nothing that an array can work with.
capi::Ref ApplyOperator(ModuleState* state, simd::Op op, std::span<PyObject* const> operands,
                        PyObject* out);

// What every reduction takes beside the array; each may be null.
struct ReductionCall {
  static constexpr std::array<const char*, 8> kNames = {
      "axis", "out", "keepdims", "ddof", "correction", "where", "initial", "precise"};

  PyObject* axis = nullptr;  // null or None: all axes; an int; a tuple of ints
  PyObject* out = nullptr;
  PyObject* keepdims = nullptr;
  PyObject* ddof = nullptr;
  PyObject* correction = nullptr;  // another name of ddof
  PyObject* where = nullptr;       // a bool array, or what makes one
  PyObject* initial = nullptr;     // a number
  PyObject* precise = nullptr;     // a truth value

  bool KeepsDims() const;
  double Ddof() const;
};
capi::Ref ApplyReduction(ModuleState* state, simd::Reduction reduction, PyObject* array,
                         const ReductionCall& call);

// A sequence of Operations that are reductions; TypeError for anything else.
std::vector<simd::Reduction> ReductionsFrom(ModuleState* state, PyObject* operations);

// Raises unless the result of `name`, of dtype `result`, may be written to `out`.
void CheckOut(const char* name, const array::View& out, base::Kind result);
// `out` as an Array over its own bytes; NumPy arrays and other exporters serve as well.
capi::Ref OutArray(ModuleState* state, PyObject* out);
// A Python scalar if the view is 0-d, else an array of it.
capi::Ref ScalarOrArray(ModuleState* state, array::View view);
// Whether an operator should try at all: anything else gets NotImplemented, so that the other
// operand's class has its say.
bool IsOperandLike(ModuleState* state, PyObject* object);

// An open array of numbers of any kind; `name` is the function that errors name.
capi::Ref NumbersFrom(ModuleState* state, const char* name, PyObject* object);
// All elements of an array as one line in C order: a view where that can be, else a copy.
capi::Ref Flattened(ModuleState* state, const capi::Ref& array);

// A running fold along an axis; null or None: of all elements in C order. `out` may be null.
capi::Ref ApplyScan(ModuleState* state, simd::Scan scan, PyObject* array, PyObject* axis,
                    PyObject* out);

// Where a result of some dtype and shape goes: `out`, checked, or a new array where none is given.
capi::Ref ResultArray(ModuleState* state, const char* name, base::Kind kind,
                      const base::Dims& shape, PyObject* out);
// The array itself, or a Python number for a 0-d one that nobody gave.
capi::Ref ResultObject(const capi::Ref& result, PyObject* out);

// None, an int or a tuple of ints, checked against ndim.
array::AxisSet AxesFromObject(PyObject* axis, int ndim);

// Gives the GIL up for `work` when it moves more bytes than that costs.
template <class Work>
auto RunDetached(int64_t bytes, Work&& work);

}  // namespace spanflow::bindings

#include "capi/attach.h"

namespace spanflow::bindings {

inline constexpr int64_t kDetachBytes = 64 << 10;  // about 2 µs of work

template <class Work>
auto RunDetached(int64_t bytes, Work&& work) {
  if (bytes < kDetachBytes) return work();
  const capi::DetachScope detached;
  return work();
}

}  // namespace spanflow::bindings
