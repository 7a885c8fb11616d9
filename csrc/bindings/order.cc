// Module functions for order and selection: sorting, searching, counting. What NumPy makes of these
// few is in spanflow/_order.py.
#include <algorithm>
#include <string>
#include <vector>

#include "array/copy.h"
#include "array/create.h"
#include "array/promote.h"
#include "array/select.h"
#include "bindings/create.h"
#include "bindings/functions.h"
#include "bindings/operation.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "order/count.h"
#include "order/search.h"
#include "order/sort.h"

namespace spanflow::bindings {
namespace {

using array::View;
using base::DType;
using base::Kind;
using capi::Check;
using capi::Given;
using capi::Raise;
using capi::Ref;

const View& ViewOf(const Ref& array) { return AsArray(array.get())->view; }

bool Flag(PyObject* object) { return object != nullptr && capi::Truth(object); }

Ref OrderedFrom(ModuleState* state, const char* name, PyObject* object) {
  Ref array = NumbersFrom(state, name, object);
  capi::Check(order::CheckOrdered(name, ViewOf(array).dtype().kind()));
  return array;
}

// What is put in order, and along which axis.
struct Operand {
  Ref array;
  int axis;

  const View& view() const { return ViewOf(array); }
};

// The axis is the last one where none is given; None is one line of all elements.
Operand OperandFrom(ModuleState* state, const char* name, PyObject* object, PyObject* axis) {
  Ref array = OrderedFrom(state, name, object);
  if (axis == Py_None) return {Flattened(state, array), 0};
  const int64_t wanted = axis == nullptr ? -1 : capi::Integer(axis);
  const int along = capi::Take(base::NormalizeAxis(wanted, ViewOf(array).ndim()));
  return {std::move(array), along};
}

// NumPy's names of algorithms choose nothing here but whether equal elements keep their order.
bool StableFrom(const char* name, PyObject* kind, PyObject* stable) {
  if (!Given(kind)) return Given(stable) && capi::Truth(stable);
  const std::string text = capi::Text(kind);
  if (Given(stable)) Raise(PyExc_ValueError, "%s() takes kind or stable, not both", name);
  if (text == "stable" || text == "mergesort") return true;
  if (text == "quicksort" || text == "heapsort") return false;
  Raise(PyExc_ValueError,
        "%s(): kind is 'quicksort', 'heapsort', 'mergesort' or 'stable', not '%s'", name,
        text.c_str());
}

template <class Work>
void RunOver(const View& view, const Work& work) {
  capi::Check(RunDetached(view.layout.nbytes(), work));
}

Ref NewLike(ModuleState* state, const Operand& operand, const DType& dtype) {
  return NewArray(state, capi::Take(array::Empty(dtype, operand.view().layout.shape)));
}

Ref RanksOf(ModuleState* state, const Operand& operand, bool descending) {
  Ref result = NewLike(state, operand, DType(Kind::kI64));
  RunOver(operand.view(),
          [&] { return order::ArgSort(operand.view(), operand.axis, descending, ViewOf(result)); });
  return result;
}

constexpr std::array<const char*, 5> kSortNames = {"a", "axis", "kind", "descending", "stable"};

Ref SortedOf(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<5> kSignature("sort", kSortNames, 3, 1);
  const auto [a, axis, kind, descending, stable] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const order::SortHow how = {Flag(descending), StableFrom("sort", kind, stable)};
  const Operand operand = OperandFrom(state, "sort", a, axis);
  Ref result = NewLike(state, operand, operand.view().dtype());
  RunOver(operand.view(),
          [&] { return order::Sort(operand.view(), operand.axis, how, ViewOf(result)); });
  return result;
}

// One place or several, from the end where negative; they ascend.
std::vector<int64_t> PlacesFrom(const char* name, PyObject* kth, int64_t length) {
  std::vector<int64_t> places;
  const auto add = [&](PyObject* object) {
    const int64_t place = capi::Integer(object);
    if (place < -length || place >= length) {
      Raise(PyExc_ValueError, "%s(): kth is %lld, but the axis has %lld elements", name,
            static_cast<long long>(place), static_cast<long long>(length));
    }
    places.push_back(place < 0 ? place + length : place);
  };
  // An array is an index only if it has no dimension.
  const bool has_items = PyObject_Size(kth) >= 0;
  PyErr_Clear();
  if (PyIndex_Check(kth) && !has_items) {
    add(kth);
  } else {
    const Ref items = capi::Items(kth);
    for (Py_ssize_t i = 0; i < capi::Count(items); ++i) add(capi::At(items, i));
  }
  std::sort(places.begin(), places.end());
  return places;
}

Ref PartitionOf(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("partition", {"a", "kth", "axis"}, 3, 2);
  const auto [a, kth, axis] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const Operand operand = OperandFrom(state, "partition", a, axis);
  const std::vector<int64_t> places =
      PlacesFrom("partition", kth, operand.view().layout.shape[operand.axis]);
  Ref result = NewLike(state, operand, operand.view().dtype());
  RunOver(operand.view(),
          [&] { return order::Partition(operand.view(), operand.axis, places, ViewOf(result)); });
  return result;
}

// A whole order is a partition too.
Ref ArgPartitionOf(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("argpartition", {"a", "kth", "axis"}, 3, 2);
  const auto [a, kth, axis] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const Operand operand = OperandFrom(state, "argpartition", a, axis);
  PlacesFrom("argpartition", kth, operand.view().layout.shape[operand.axis]);
  return RanksOf(state, operand, false);
}

Ref ArgSortOf(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<5> kSignature("argsort", kSortNames, 3, 1);
  const auto [a, axis, kind, descending, stable] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  StableFrom("argsort", kind, stable);  // it always is
  const bool falling = Flag(descending);
  return RanksOf(state, OperandFrom(state, "argsort", a, axis), falling);
}

Ref TopKOf(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("topk", {"a", "k", "axis", "largest"}, 3, 2);
  const auto [a, k, axis, largest] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const int64_t count = capi::Integer(k);
  const bool falling = largest == nullptr || capi::Truth(largest);
  const Operand operand = OperandFrom(state, "topk", a, axis);
  base::Dims shape = operand.view().layout.shape;
  if (count < 0 || count > shape[operand.axis]) {
    Raise(PyExc_ValueError, "topk(): k is %lld, but axis %d has %lld elements",
          static_cast<long long>(count), operand.axis, static_cast<long long>(shape[operand.axis]));
  }
  shape[operand.axis] = count;
  const Ref values = NewArray(state, capi::Take(array::Empty(operand.view().dtype(), shape)));
  const Ref indices = NewArray(state, capi::Take(array::Empty(DType(Kind::kI64), shape)));
  RunOver(operand.view(), [&] {
    return order::TopK(operand.view(), operand.axis, falling, ViewOf(values), ViewOf(indices));
  });
  return Check(PyTuple_Pack(2, values.get(), indices.get()));
}

bool RightFrom(PyObject* side) {
  if (side == nullptr) return false;
  const std::string text = capi::Text(side);
  if (text != "left" && text != "right") {
    Raise(PyExc_ValueError, "searchsorted(): side is 'left' or 'right', not '%s'", text.c_str());
  }
  return text == "right";
}

Ref SearchSortedOf(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("searchsorted", {"a", "v", "side", "sorter"}, 4,
                                                 2);
  const auto [a, v, side, sorter] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const bool right = RightFrom(side);
  Ref sorted = OrderedFrom(state, "searchsorted", a);
  if (Given(sorter)) {
    const Ref order = NumbersFrom(state, "searchsorted", sorter);
    if (ViewOf(sorted).ndim() != 1 || ViewOf(order).layout.shape != ViewOf(sorted).layout.shape) {
      Raise(PyExc_ValueError, "searchsorted(): sorter has shape %s, but a has shape %s",
            base::ToString(ViewOf(order).layout.shape).c_str(),
            base::ToString(ViewOf(sorted).layout.shape).c_str());
    }
    View taken = capi::Take(RunDetached(ViewOf(sorted).layout.nbytes(), [&] {
      return array::Take(ViewOf(sorted), ViewOf(order), 0);
    }));
    sorted = NewArray(state, std::move(taken));
  }
  const Ref wanted = OrderedFrom(state, "searchsorted", v);
  // What is searched may have to be copied first.
  const int64_t bytes = ViewOf(sorted).layout.nbytes() + ViewOf(wanted).layout.nbytes() * 16;
  return ScalarOrArray(state, capi::Take(RunDetached(bytes, [&] {
                         return order::SearchSorted(ViewOf(sorted), ViewOf(wanted), right);
                       })));
}

Ref IsInOf(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("isin", {"a", "values", "invert"}, 2, 2);
  const auto [a, values, invert] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const Ref elements = OrderedFrom(state, "isin", a);
  const Ref among = OrderedFrom(state, "isin", values);
  const bool other = Flag(invert);
  const int64_t bytes = ViewOf(elements).layout.nbytes() + ViewOf(among).layout.nbytes();
  return ScalarOrArray(state, capi::Take(RunDetached(16 * bytes, [&] {
                         return order::IsIn(ViewOf(elements), ViewOf(among), other);
                       })));
}

Ref UniqueOf(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature(
      "unique", {"a", "return_index", "return_inverse", "return_counts"}, 4, 1);
  const auto [a, index, inverse, counts] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const Ref array = OrderedFrom(state, "unique", a);
  const order::DistinctHow how = {Flag(index), Flag(inverse), Flag(counts)};
  order::Distinct found = capi::Take(RunDetached(
      ViewOf(array).layout.nbytes(), [&] { return order::Unique(ViewOf(array), how); }));
  if (!how.first && !how.inverse && !how.counts) return NewArray(state, std::move(found.values));
  std::vector<Ref> parts;
  parts.push_back(NewArray(state, std::move(found.values)));
  if (how.first) parts.push_back(NewArray(state, std::move(found.first)));
  if (how.inverse) {
    found.inverse.layout =
        capi::Take(base::Layout::Contiguous(DType(Kind::kI64), ViewOf(array).layout.shape));
    parts.push_back(NewArray(state, std::move(found.inverse)));
  }
  if (how.counts) parts.push_back(NewArray(state, std::move(found.counts)));
  Ref tuple = Check(PyTuple_New(static_cast<Py_ssize_t>(parts.size())));
  for (size_t i = 0; i < parts.size(); ++i) {
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), parts[i].release());
  }
  return tuple;
}

Ref BinCountOf(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("bincount", {"x", "weights", "minlength"}, 3, 1);
  const auto [x, weights, minlength] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const Ref numbers = NumbersFrom(state, "bincount", x);
  const Ref factors = Given(weights) ? NumbersFrom(state, "bincount", weights) : Ref();
  const int64_t at_least = minlength == nullptr ? 0 : capi::Integer(minlength);
  // Few numbers may need many bins.
  return NewArray(state, capi::Take(RunDetached(kDetachBytes, [&] {
                    return order::BinCount(ViewOf(numbers), factors ? &ViewOf(factors) : nullptr,
                                           at_least);
                  })));
}

// _histogram(a, edges, weights): what histogram() of Python counts with.
Ref HistogramOf(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("histogram", {"a", "edges", "weights"}, 3, 3);
  const auto [a, edges, weights] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const Ref numbers = NumbersFrom(state, "histogram", a);
  const Ref factors = Given(weights) ? NumbersFrom(state, "histogram", weights) : Ref();
  const Ref list = capi::Items(edges);
  std::vector<double> places;
  for (Py_ssize_t i = 0; i < capi::Count(list); ++i) {
    places.push_back(capi::Double(capi::At(list, i)));
  }
  if (places.size() < 2) Raise(PyExc_ValueError, "histogram() needs at least two edges");
  return NewArray(state, capi::Take(RunDetached(ViewOf(numbers).layout.nbytes(), [&] {
                    return order::Histogram(ViewOf(numbers), places,
                                            factors ? &ViewOf(factors) : nullptr);
                  })));
}

Ref NonzeroOf(PyObject* module, PyObject* object) {
  ModuleState* const state = StateOf(module);
  const Ref array = NumbersFrom(state, "nonzero", object);
  std::vector<View> places = capi::Take(
      RunDetached(ViewOf(array).layout.nbytes(), [&] { return array::Nonzero(ViewOf(array)); }));
  Ref tuple = Check(PyTuple_New(static_cast<Py_ssize_t>(places.size())));
  for (size_t i = 0; i < places.size(); ++i) {
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i),
                     NewArray(state, std::move(places[i])).release());
  }
  return tuple;
}

}  // namespace

Ref SortInPlace(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("sort", {"axis", "kind", "descending", "stable"},
                                                 2, 0);
  const auto [axis, kind, descending, stable] = kSignature.Parse(args, nargs, kwnames);
  const order::SortHow how = {Flag(descending), StableFrom("sort", kind, stable)};
  if (axis == Py_None) Raise(PyExc_TypeError, "sort() in place needs an axis, got None");
  const Operand operand = OperandFrom(AsArray(self)->state, "sort", self, axis);
  CheckWritable(operand.view());
  RunOver(operand.view(),
          [&] { return order::Sort(operand.view(), operand.axis, how, operand.view()); });
  return capi::None();
}

#define FAST(function) capi::Method<&function>(), METH_FASTCALL | METH_KEYWORDS

PyMethodDef order_functions[] = {
    {"sort", FAST(SortedOf),
     "sort($module, /, a, axis=-1, kind=None, *, descending=False, stable=None)\n--\n\n"
     "A sorted copy of an array along an axis; NaN comes last in both orders.\n\n"
     "axis=None sorts all elements as one line in C order. stable=True (or kind='stable') keeps "
     "the\n"
     "order of -0 and 0, and the bits of NaN; other elements that are equal are the same.\n"
     "Raises TypeError for complex numbers and records, ValueError for an axis that is not there,\n"
     "another kind and closed arrays, OSError for missing pages of a mapped file."},
    {"argsort", FAST(ArgSortOf),
     "argsort($module, /, a, axis=-1, kind=None, *, descending=False, stable=None)\n--\n\n"
     "The indices (int64) that sort an array along an axis; NaN comes last in both orders.\n\n"
     "Equal elements, and NaN, always keep their order. axis and errors are those of sort()."},
    {"partition", FAST(PartitionOf),
     "partition($module, /, a, kth, axis=-1)\n--\n\n"
     "A copy in which the elements number kth along an axis are where sorting puts them.\n\n"
     "Those before are not larger, those behind not smaller, in no particular order. kth is an "
     "int\n"
     "or a sequence of them, negative from the end; ValueError for one that is out of bounds. "
     "axis\n"
     "and other errors are those of sort()."},
    {"argpartition", FAST(ArgPartitionOf),
     "argpartition($module, /, a, kth, axis=-1)\n--\n\n"
     "Indices (int64) that partition an array as partition() does; they are those of argsort()."},
    {"topk", FAST(TopKOf),
     "topk($module, /, a, k, axis=-1, *, largest=True)\n--\n\n"
     "The k largest elements along an axis, the largest first, and their indices (int64).\n\n"
     "With largest=False the smallest, the smallest first. Of equal elements those with the "
     "lowest\n"
     "indices come first; NaN comes last. axis and errors are those of sort(); ValueError for k\n"
     "outside of 0 to the length of the axis."},
    {"searchsorted", FAST(SearchSortedOf),
     "searchsorted($module, /, a, v, side='left', sorter=None)\n--\n\n"
     "Where v would have to be inserted so that a, of one dimension and ascending, stays so.\n\n"
     "side='left' gives the first such place, 'right' the last. sorter is the argsort of an a that "
     "is\nnot sorted. The result (int64) has the shape of v; of a number it is an int. NaN is "
     "behind\n"
     "all numbers. Raises TypeError for complex numbers and records, ValueError for shapes, "
     "another\n"
     "side and closed arrays, IndexError for a sorter that points outside."},
    {"isin", FAST(IsInOf),
     "isin($module, /, a, values, *, invert=False)\n--\n\n"
     "Whether each element of a equals one of values, or none of them with invert=True.\n\n"
     "Compared in their common dtype; NaN equals nothing. Raises TypeError for complex numbers "
     "and\n"
     "records, ValueError for closed arrays."},
    {"unique", FAST(UniqueOf),
     "unique($module, /, a, return_index=False, return_inverse=False, return_counts=False)\n--\n\n"
     "The distinct elements of an array, ascending; all NaN are one element, and -0 is 0.\n\n"
     "With return_index also where each occurs first, with return_inverse which of them each\n"
     "element is, in the shape of a, with return_counts how often each occurs: a tuple in this "
     "order.\nRaises TypeError for complex numbers and records, ValueError for closed arrays."},
    {"bincount", FAST(BinCountOf),
     "bincount($module, /, x, weights=None, minlength=0)\n--\n\n"
     "How often each number from 0 on occurs in an array of integers of one dimension (int64).\n\n"
     "With weights, as many as there are numbers, the sum of theirs (float64), added in order.\n"
     "Raises ValueError for numbers below 0 or from 2**60 on, shapes and closed arrays, TypeError\n"
     "for dtypes, MemoryError where there is no memory to count so far."},
    {"_histogram", FAST(HistogramOf), nullptr},
    {"nonzero", capi::Method<&NonzeroOf>(), METH_O,
     "nonzero($module, a, /)\n--\n\n"
     "The indices of the elements that are not zero: a tuple of an int64 array for each axis.\n\n"
     "In C order. Raises ValueError for 0-d and closed arrays, TypeError for records."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
