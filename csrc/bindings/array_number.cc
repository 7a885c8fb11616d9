// Operators of spanflow.Array: each is one row that names its operation.
#include "bindings/array_object.h"
#include "bindings/convert.h"
#include "bindings/operation.h"
#include "capi/entry.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using capi::Raise;
using capi::Ref;

template <simd::Op kOp>
Ref Unary(PyObject* self) {
  PyObject* const operands[] = {self};
  return ApplyOperation(AsArray(self)->state, kOp, operands, nullptr);
}

// Either operand may be the array; both slots are asked with the operands in their order.
template <simd::Op kOp>
Ref Binary(PyObject* left, PyObject* right) {
  ModuleState* state = nullptr;
  for (PyObject* side : {left, right}) {
    PyObject* module = PyType_GetModuleByDef(Py_TYPE(side), &module_def);
    if (module != nullptr) {
      state = StateOf(module);
      if (IsArray(state, side)) break;
      state = nullptr;
    }
    PyErr_Clear();
  }
  if (state == nullptr) return capi::NotImplemented();
  PyObject* const operands[] = {left, right};
  return ApplyOperator(state, kOp, operands, nullptr);
}

template <simd::Op kOp>
Ref InPlace(PyObject* self, PyObject* other) {
  PyObject* const operands[] = {self, other};
  return ApplyOperator(AsArray(self)->state, kOp, operands, self);
}

// The pair of what // and % give.
Ref DivMod(PyObject* left, PyObject* right) {
  const Ref quotient = Binary<simd::Op::kFloorDivide>(left, right);
  if (quotient.get() == Py_NotImplemented) return capi::NotImplemented();
  const Ref rest = Binary<simd::Op::kRemainder>(left, right);
  return capi::Check(PyTuple_Pack(2, quotient.get(), rest.get()));
}

Ref Power(PyObject* base, PyObject* exponent, PyObject* modulus) {
  if (modulus != Py_None) return capi::NotImplemented();
  return Binary<simd::Op::kPower>(base, exponent);
}

Ref InPlacePower(PyObject* base, PyObject* exponent, PyObject* modulus) {
  if (modulus != Py_None) return capi::NotImplemented();
  return InPlace<simd::Op::kPower>(base, exponent);
}

Ref Positive(PyObject* self) {
  CheckOpen(AsArray(self));
  return Ref::Steal(PyObject_CallMethod(self, "copy", nullptr));
}

// The one element of an array of size 1.
Ref OnlyItem(PyObject* object, const char* wanted) {
  ArrayObject* self = AsArray(object);
  CheckOpen(self);
  if (self->view.size() != 1) {
    Raise(PyExc_TypeError, "only arrays of one element convert to %s; this one has %lld", wanted,
          static_cast<long long>(self->view.size()));
  }
  return ReadItem(self->view, self->view.data);
}

int ToBool(PyObject* object) {
  ArrayObject* self = AsArray(object);
  CheckOpen(self);
  if (self->view.size() != 1) {
    Raise(PyExc_ValueError,
          "the truth value of an array of %lld elements is ambiguous: use any() or all()",
          static_cast<long long>(self->view.size()));
  }
  return capi::Truth(OnlyItem(object, "bool").get());
}

// As NumPy: whether any element equals the value.
int Contains(PyObject* self, PyObject* value) {
  const Ref equal = capi::Check(PyObject_RichCompare(self, value, Py_EQ));
  ModuleState* state = AsArray(self)->state;
  if (!IsArray(state, equal.get())) return capi::Truth(equal.get());
  return capi::Truth(ApplyReduction(state, simd::Reduction::kAny, equal.get(), {}).get());
}

Ref ToInt(PyObject* self) { return capi::Check(PyNumber_Long(OnlyItem(self, "int").get())); }
Ref ToFloat(PyObject* self) { return capi::Check(PyNumber_Float(OnlyItem(self, "float").get())); }
Ref ToIndex(PyObject* self) {
  if (!base::IsInteger(AsArray(self)->view.dtype().kind()) || AsArray(self)->view.ndim() != 0) {
    Raise(PyExc_TypeError, "only 0-d integer arrays can be an index");
  }
  return OnlyItem(self, "index");
}

}  // namespace

Ref ArrayComplex(PyObject* self, PyObject*) {
  return capi::Check(PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyComplex_Type),
                                         OnlyItem(self, "complex").get()));
}

std::span<const PyType_Slot> ArrayNumberSlots() {
  using enum simd::Op;
  static const PyType_Slot slots[] = {
      {Py_nb_add, capi::Slot<&Binary<kAdd>>()},
      {Py_nb_subtract, capi::Slot<&Binary<kSubtract>>()},
      {Py_nb_multiply, capi::Slot<&Binary<kMultiply>>()},
      {Py_nb_true_divide, capi::Slot<&Binary<kDivide>>()},
      {Py_nb_floor_divide, capi::Slot<&Binary<kFloorDivide>>()},
      {Py_nb_remainder, capi::Slot<&Binary<kRemainder>>()},
      {Py_nb_divmod, capi::Slot<&DivMod>()},
      {Py_nb_power, capi::Slot<&Power>()},
      {Py_nb_lshift, capi::Slot<&Binary<kLeftShift>>()},
      {Py_nb_rshift, capi::Slot<&Binary<kRightShift>>()},
      {Py_nb_and, capi::Slot<&Binary<kBitwiseAnd>>()},
      {Py_nb_or, capi::Slot<&Binary<kBitwiseOr>>()},
      {Py_nb_xor, capi::Slot<&Binary<kBitwiseXor>>()},
      {Py_nb_inplace_add, capi::Slot<&InPlace<kAdd>>()},
      {Py_nb_inplace_subtract, capi::Slot<&InPlace<kSubtract>>()},
      {Py_nb_inplace_multiply, capi::Slot<&InPlace<kMultiply>>()},
      {Py_nb_inplace_true_divide, capi::Slot<&InPlace<kDivide>>()},
      {Py_nb_inplace_floor_divide, capi::Slot<&InPlace<kFloorDivide>>()},
      {Py_nb_inplace_remainder, capi::Slot<&InPlace<kRemainder>>()},
      {Py_nb_inplace_power, capi::Slot<&InPlacePower>()},
      {Py_nb_inplace_lshift, capi::Slot<&InPlace<kLeftShift>>()},
      {Py_nb_inplace_rshift, capi::Slot<&InPlace<kRightShift>>()},
      {Py_nb_inplace_and, capi::Slot<&InPlace<kBitwiseAnd>>()},
      {Py_nb_inplace_or, capi::Slot<&InPlace<kBitwiseOr>>()},
      {Py_nb_inplace_xor, capi::Slot<&InPlace<kBitwiseXor>>()},
      {Py_nb_negative, capi::Slot<&Unary<kNegative>>()},
      {Py_nb_absolute, capi::Slot<&Unary<kAbsolute>>()},
      {Py_nb_invert, capi::Slot<&Unary<kInvert>>()},
      {Py_nb_positive, capi::Slot<&Positive>()},
      {Py_nb_bool, capi::Slot<&ToBool>()},
      {Py_nb_int, capi::Slot<&ToInt>()},
      {Py_nb_float, capi::Slot<&ToFloat>()},
      {Py_nb_index, capi::Slot<&ToIndex>()},
      {Py_sq_contains, capi::Slot<&Contains>()},
  };
  return slots;
}

Ref ArrayRichCompare(PyObject* self, PyObject* other, int op) {
  static constexpr simd::Op kOps[] = {simd::Op::kLess,    simd::Op::kLessEqual,
                                      simd::Op::kEqual,   simd::Op::kNotEqual,
                                      simd::Op::kGreater, simd::Op::kGreaterEqual};
  PyObject* const operands[] = {self, other};
  return ApplyOperator(AsArray(self)->state, kOps[op], operands, nullptr);
}

}  // namespace spanflow::bindings
