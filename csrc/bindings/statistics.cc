// Module functions for what is neither element by element nor a reduction of the table: inner
// products, running and moving folds, quantiles.
#include <string>
#include <vector>

#include "array/copy.h"
#include "array/dot.h"
#include "array/moving.h"
#include "array/promote.h"
#include "array/quantile.h"
#include "array/scan.h"
#include "bindings/create.h"
#include "bindings/functions.h"
#include "bindings/operation.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using array::View;
using base::Kind;
using capi::Check;
using capi::Given;
using capi::Raise;
using capi::Ref;

Ref InnerProduct(PyObject* module, const char* name, bool conjugate, PyObject* const* args,
                 Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("dot", {"a", "b", "out"}, 3, 2);
  const auto [a, b, out] = kSignature.ParseAs(name, args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const Ref first = NumbersFrom(state, name, a), second = NumbersFrom(state, name, b);
  const View& left = AsArray(first.get())->view;
  const View& right = AsArray(second.get())->view;
  const Kind kind = array::Promote(left.dtype().kind(), right.dtype().kind());
  const Ref result = ResultArray(state, name, kind, {}, out);
  const View& to = AsArray(result.get())->view;
  capi::Check(
      RunDetached(left.layout.nbytes(), [&] { return array::Dot(left, right, conjugate, to); }));
  return ResultObject(result, out);
}

Ref Dot(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return InnerProduct(module, "dot", false, args, nargs, kwnames);
}
Ref VDot(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  return InnerProduct(module, "vdot", true, args, nargs, kwnames);
}

template <simd::Scan kScan>
Ref ScanFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature(simd::InfoOf(kScan).name, {"a", "axis", "out"}, 2,
                                                 1);
  const auto [a, axis, out] = kSignature.Parse(args, nargs, kwnames);
  return ApplyScan(StateOf(module), kScan, a, axis, out);
}

simd::Reduction MovingFrom(PyObject* object) {
  const std::string name = capi::Text(object);
  for (const auto fold : {simd::Reduction::kSum, simd::Reduction::kMean, simd::Reduction::kMin,
                          simd::Reduction::kMax}) {
    if (name == simd::InfoOf(fold).name) return fold;
  }
  Raise(PyExc_ValueError, "'%s' does not move: sum, mean, min and max do", name.c_str());
}

// What moving_sum() and its relatives stand on.
Ref Moving(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<5> kSignature("_moving", {"fold", "a", "window", "axis", "out"},
                                                 5, 5);
  const auto [name, a, length, along, out] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const simd::Reduction fold = MovingFrom(name);
  const std::string function = std::string("moving_") + simd::InfoOf(fold).name;
  const Ref array = NumbersFrom(state, function.c_str(), a);
  const View& view = AsArray(array.get())->view;
  const int axis = capi::Take(base::NormalizeAxis(capi::Integer(along), view.ndim()));
  const int64_t window = capi::Integer(length);
  const Kind operand = view.dtype().kind();
  capi::Check(array::CheckKinds(function.c_str(), simd::InfoOf(fold).kinds, operand));
  const base::Dims shape = capi::Take(array::MovingShape(fold, view.layout.shape, axis, window));
  const Ref result =
      ResultArray(state, function.c_str(), simd::ResultKind(fold, operand), shape, out);
  const View& to = AsArray(result.get())->view;
  const int64_t bytes = std::min(view.size(), kDetachBytes) * 8;  // sums are made in 64 bits
  capi::Check(RunDetached(bytes, [&] { return array::MovingFold(fold, view, axis, window, to); }));
  return ResultObject(result, out);
}

// A number, or a sequence of them.
std::vector<double> QuantilesFrom(PyObject* object) {
  if (PyFloat_Check(object) || PyIndex_Check(object)) return {capi::Double(object)};
  const Ref items = capi::Items(object);
  std::vector<double> quantiles;
  for (Py_ssize_t i = 0; i < capi::Count(items); ++i) {
    quantiles.push_back(capi::Double(capi::At(items, i)));
  }
  return quantiles;
}

array::QuantileMethod MethodFrom(PyObject* object) {
  const std::string name = capi::Text(object);
  if (const auto method = array::QuantileMethodFrom(name)) return *method;
  Raise(PyExc_ValueError, "'%s' is not a valid method; see spanflow.quantile", name.c_str());
}

// The quantiles are the first axis of the result, which goes for a single number.
Ref Quantiles(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<7> kSignature(
      "quantile", {"a", "q", "axis", "out", "keepdims", "method", "leave_nan_out"}, 7, 7);
  const auto [a, q, axis, out, keepdims, method, leave_nan_out] =
      kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const Ref array = NumbersFrom(state, "quantile", a);
  const View& view = AsArray(array.get())->view;
  const std::vector<double> quantiles = QuantilesFrom(q);
  const bool single = PyFloat_Check(q) || PyIndex_Check(q);
  const array::QuantileHow how = {quantiles, MethodFrom(method), capi::Truth(leave_nan_out)};
  const array::AxisSet axes = AxesFromObject(axis, view.ndim());
  const Kind kind = capi::Take(array::QuantileKind(view.dtype().kind()));
  const base::Dims kept = array::ReducedShape(view.layout.shape, axes, capi::Truth(keepdims));
  base::Dims shape;
  if (!single) shape.push_back(static_cast<int64_t>(quantiles.size()));
  for (const int64_t extent : kept) shape.push_back(extent);
  const Ref result = ResultArray(state, "quantile", kind, shape, out);
  const View& to = AsArray(result.get())->view;
  capi::Check(
      RunDetached(view.layout.nbytes(), [&] { return array::Quantiles(view, axes, how, to); }));
  return ResultObject(result, out);
}

}  // namespace

Ref NumbersFrom(ModuleState* state, const char* name, PyObject* object) {
  Ref array = AsArrayObject(state, object, nullptr, nullptr);
  CheckOpen(AsArray(array.get()));
  const base::DType& dtype = AsArray(array.get())->view.dtype();
  if (dtype.numeric()) return array;
  Raise(PyExc_TypeError, "%s() works on numbers, not on %s", name, dtype.ToString().c_str());
}

Ref Flattened(ModuleState* state, const Ref& array) {
  const View& view = AsArray(array.get())->view;
  const base::Dims flat = {view.size()};
  auto layout = base::Reshape(view.layout, flat);
  if (layout.ok()) return NewView(AsArray(array.get()), view.With(*std::move(layout)));
  View copy = capi::Take(
      RunDetached(view.layout.nbytes(), [&] { return array::CopyToNew(view, view.dtype()); }));
  copy.layout = capi::Take(base::Reshape(copy.layout, flat));
  return NewArray(state, std::move(copy));
}

Ref ApplyScan(ModuleState* state, simd::Scan scan, PyObject* object, PyObject* axis,
              PyObject* out) {
  const simd::ReductionInfo& info = simd::InfoOf(scan);
  Ref array = NumbersFrom(state, info.name, object);
  int along = 0;
  if (Given(axis)) {
    const int ndim = AsArray(array.get())->view.ndim();
    along = capi::Take(base::NormalizeAxis(capi::Integer(axis), ndim));
  } else if (AsArray(array.get())->view.ndim() != 1) {
    array = Flattened(state, array);
  }
  const View& view = AsArray(array.get())->view;
  const Kind operand = view.dtype().kind();
  capi::Check(array::CheckKinds(info.name, info.kinds, operand));
  const Ref result =
      ResultArray(state, info.name, simd::ResultKind(scan, operand), view.layout.shape, out);
  const View& to = AsArray(result.get())->view;
  capi::Check(
      RunDetached(view.layout.nbytes(), [&] { return array::RunScan(scan, view, along, to); }));
  return ResultObject(result, out);
}

#define FAST(function) capi::Method<&function>(), METH_FASTCALL | METH_KEYWORDS

PyMethodDef statistics_functions[] = {
    {"dot", FAST(Dot),
     "dot($module, /, a, b, out=None)\n--\n\nThe sum of the products of two arrays of one "
     "dimension and of the same length.\n\n"
     "The result has their common dtype; float products are summed as sum() does, and bool is\n"
     "whether both are true somewhere. out is a 0-d array to which the result casts (same kind).\n"
     "Raises ValueError for other shapes and closed arrays, TypeError for what is no number."},
    {"vdot", FAST(VDot),
     "vdot($module, /, a, b, out=None)\n--\n\nAs dot(), with the complex conjugates of a."},
    {"_quantiles", FAST(Quantiles), nullptr},
    {"_moving", FAST(Moving), nullptr},
#define SPANFLOW_ROW(Name, name, rule, kinds, summary)                                        \
  {name, FAST(ScanFunction<simd::Scan::k##Name>),                                             \
   name "($module, /, a, axis=None, *, out=None)\n--\n\nAlong an axis " summary               \
        ".\n\nWithout an axis all elements are one line in C order. out is a writable array " \
        "of the\nresult's shape to which the result casts (same kind); it may overlap a.\n"   \
        "Raises TypeError for other dtypes, ValueError for an axis that is not there, an "    \
        "out of another\nshape and closed arrays, OSError for missing pages of a mapped file."},
    SPANFLOW_SCANS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
        {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
