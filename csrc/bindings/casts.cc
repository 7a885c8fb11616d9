// Casts: astype and byteswap, numbers scaled into floats, and what casts to what.
#include "bindings/casts.h"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <span>
#include <string>
#include <vector>

#include "array/affine.h"
#include "array/copy.h"
#include "array/create.h"
#include "array/promote.h"
#include "bindings/convert.h"
#include "bindings/create.h"
#include "bindings/dtype_object.h"
#include "bindings/functions.h"
#include "bindings/operation.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using array::Casting;
using array::View;
using base::DType;
using capi::Given;
using capi::Raise;
using capi::Ref;

Casting CastingFrom(PyObject* object, Casting otherwise) {
  if (object == nullptr) return otherwise;
  const std::string name = PyUnicode_Check(object) ? capi::Text(object) : "";
  const auto* const found = std::ranges::find(array::kCastingNames, name);
  if (found != std::end(array::kCastingNames)) {
    return static_cast<Casting>(found - std::begin(array::kCastingNames));
  }
  Raise(PyExc_ValueError,
        "casting must be one of 'no', 'equiv', 'safe', 'same_kind' or 'unsafe', got %R", object);
}

void CheckCast(const DType& from, const DType& to, Casting casting) {
  capi::Check(array::CheckConvertible(from, to));
  if (array::CanCast(from, to, casting)) return;
  Raise(PyExc_TypeError, "cannot cast from %s to %s under the rule '%s'%s", from.ToString().c_str(),
        to.ToString().c_str(), array::kCastingNames[static_cast<size_t>(casting)].data(),
        array::CanCast(from, to, Casting::kSameKind) ? "; 'same_kind' allows it"
                                                     : "; only 'unsafe' allows it");
}

struct CastCall {
  PyObject *dtype, *casting, *saturate, *copy;
};

Ref Cast(PyObject* object, const CastCall& call) {
  ArrayObject* const self = OpenArray(object);
  const View& view = self->view;
  const DType wanted = DTypeFromObject(self->state, call.dtype);
  CheckCast(view.dtype(), wanted, CastingFrom(call.casting, Casting::kUnsafe));
  const array::CastHow how = {call.saturate != nullptr && capi::Truth(call.saturate)};
  const bool needed = call.copy == nullptr || capi::Truth(call.copy) || wanted != view.dtype();
  if (!needed) return Ref::Borrow(object);
  return CopyOf(self->state, view, wanted, how);
}

Ref AsTypeFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<5> kSignature(
      "astype", {"a", "dtype", "casting", "saturate", "copy"}, 2, 2);
  const auto [a, dtype, casting, saturate, copy] = kSignature.Parse(args, nargs, kwnames);
  const Ref array = AsArrayObject(StateOf(module), a, nullptr, nullptr);
  return Cast(array.get(), {dtype, casting, saturate, copy});
}

// Arrays and other exporters, and not the classes of them, which may be dtypes.
bool IsArrayLike(ModuleState* state, PyObject* object) {
  if (IsArray(state, object)) return true;
  if (PyType_Check(object) || PyBytes_Check(object)) return false;
  return PyObject_CheckBuffer(object) || capi::AttributeOrNull(object, "__array_interface__");
}

DType DTypeOf(ModuleState* state, PyObject* object) {
  if (!IsArrayLike(state, object)) return DTypeFromObject(state, object);
  const Ref array = AsArrayObject(state, object, nullptr, nullptr);
  return AsArray(array.get())->view.dtype();
}

Ref CanCast(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("can_cast", {"from_", "to", "casting"}, 3, 2);
  const auto [from, to, casting] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  if (IsPythonScalar(from)) {
    Raise(PyExc_TypeError,
          "can_cast() takes a dtype or an array, not the Python number %R: such "
          "numbers take the dtype of the arrays beside them",
          from);
  }
  const DType source = DTypeOf(state, from), target = DTypeFromObject(state, to);
  const bool can = array::CheckConvertible(source, target).ok() &&
                   array::CanCast(source, target, CastingFrom(casting, Casting::kSafe));
  return Ref::Borrow(can ? Py_True : Py_False);
}

Ref PromoteTypes(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<2> kSignature("promote_types", {"type1", "type2"}, 2, 2);
  const auto [first, second] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  return WrapDType(state, capi::Take(array::PromoteDTypes(DTypeFromObject(state, first),
                                                          DTypeFromObject(state, second))));
}

// Numbers among arrays and dtypes are weak; what holds no numbers is promoted pair by pair.
Ref ResultType(PyObject* module, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs == 0) Raise(PyExc_TypeError, "result_type() needs at least one array or dtype");
  ModuleState* const state = StateOf(module);
  std::vector<array::OperandType> operands;
  std::vector<DType> others;
  for (PyObject* const object : std::span(args, static_cast<size_t>(nargs))) {
    if (IsPythonScalar(object)) {
      operands.push_back({.weak = WeakOf(object)});
    } else if (const DType dtype = DTypeOf(state, object); dtype.numeric()) {
      operands.push_back({dtype.kind()});
    } else {
      others.push_back(dtype);
    }
  }
  if (!operands.empty()) others.insert(others.begin(), DType(array::PromoteOperands(operands)));
  DType common = others[0];
  for (const DType& dtype : others) common = capi::Take(array::PromoteDTypes(common, dtype));
  return WrapDType(state, common);
}

Ref Affine(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<5> kSignature("affine", {"a", "scale", "offset", "dtype", "out"},
                                                 4, 1);
  const auto [a, scale, offset, dtype, out] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const Ref array = AsArrayObject(state, a, nullptr, nullptr);
  const View& view = OpenArray(array.get())->view;
  const double by = scale == nullptr ? 1 : capi::Double(scale);
  const double plus = offset == nullptr ? 0 : capi::Double(offset);
  const DType wanted = Given(dtype) ? DTypeFromObject(state, dtype) : DType(base::Kind::kF32);
  Ref result;
  if (Given(out)) {
    result = OutArray(state, out);
    const DType& own = AsArray(result.get())->view.dtype();
    if (Given(dtype) && own != wanted) {
      Raise(PyExc_TypeError, "affine(): out holds %s, but dtype is %s; the dtype of out is enough",
            own.ToString().c_str(), wanted.ToString().c_str());
    }
  } else {
    result = NewArray(state, capi::Take(array::Empty(wanted, view.layout.shape)));
  }
  const View& to = AsArray(result.get())->view;
  capi::Check(RunDetached(to.layout.nbytes(), [&] { return array::Affine(view, by, plus, to); }));
  return ResultObject(result, out);
}

}  // namespace

Ref AsType(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("astype", {"dtype", "casting", "saturate", "copy"},
                                                 1, 1);
  const auto [dtype, casting, saturate, copy] = kSignature.Parse(args, nargs, kwnames);
  return Cast(self, {dtype, casting, saturate, copy});
}

// The same bytes seen in the other byte order and copied to the own one.
Ref ByteSwap(PyObject* object, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<1> kSignature("byteswap", {"inplace"}, 1, 0);
  const auto [inplace] = kSignature.Parse(args, nargs, kwnames);
  ArrayObject* const self = OpenArray(object);
  const View& view = self->view;
  base::Layout layout = view.layout;
  layout.dtype = view.dtype().Swapped();
  const View swapped = view.With(std::move(layout));
  if (inplace != nullptr && capi::Truth(inplace)) {
    CheckWritable(view);
    capi::Check(RunDetached(view.layout.nbytes(), [&] { return array::Copy(swapped, view); }));
    return Ref::Borrow(object);
  }
  return CopyOf(self->state, swapped, view.dtype());
}

#define FAST(function) capi::Method<&function>(), METH_FASTCALL | METH_KEYWORDS

PyMethodDef cast_functions[] = {
    {"astype", FAST(AsTypeFunction),
     "astype($module, /, a, dtype, *, casting='unsafe', saturate=False, copy=True)\n--\n\n"
     "As asarray(a).astype(…)."},
    {"can_cast", FAST(CanCast),
     "can_cast($module, /, from_, to, casting='safe')\n--\n\n"
     "Whether astype() goes from one dtype (or an array's) to another under a rule.\n\n"
     "casting is 'no' (the same dtype), 'equiv' (another byte order), 'safe' (no value changes),\n"
     "'same_kind' (or within a kind: bool < unsigned < signed < float < complex) or 'unsafe'.\n"
     "Raises TypeError for what is no dtype and for Python numbers, ValueError for another rule."},
    {"promote_types", FAST(PromoteTypes),
     "promote_types($module, /, type1, type2)\n--\n\n"
     "The smallest dtype, in native byte order, to which both cast safely; equal records as they\n"
     "are.\n\n"
     "Raises TypeError where there is none, as for numbers and bytes."},
    {"result_type", capi::Method<&ResultType>(), METH_FASTCALL,
     "result_type(*arrays_and_dtypes)\n--\n\n"
     "The dtype of a result of all of them: promote_types(), with Python numbers as weak ones.\n\n"
     "Raises TypeError where there is none, and for what is neither an array nor a dtype."},
    {"affine", FAST(Affine),
     "affine($module, /, a, scale=1, offset=0, dtype='float32', *, out=None)\n--\n\n"
     "a * scale + offset as floats, in one pass: pixels become what a model reads.\n\n"
     "a may hold bool, integers or floats of any layout. Its elements are cast to dtype (float16,\n"
     "bfloat16, float32 or float64), multiplied and added to in it, each step rounded; the two\n"
     "16-bit floats are computed as float32. scale and offset are numbers. out is a writable\n"
     "array of floats of the shape of a, whose dtype then counts; it may overlap a.\n"
     "Raises TypeError for other dtypes, ValueError for an out of another shape and closed "
     "arrays,\n"
     "OSError for missing pages of a mapped file."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
