// The module function behind spanflow/_group.py: reductions of the elements that have the same key.
#include "order/group.h"

#include <vector>

#include "bindings/create.h"
#include "bindings/functions.h"
#include "bindings/operation.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using array::View;
using capi::Check;
using capi::Raise;
using capi::Ref;
using order::GroupColumn;

// Columns as pairs (values, reductions); the arrays keep alive what the columns point to.
std::vector<GroupColumn> ColumnsFrom(ModuleState* state, const Ref& pairs,
                                     std::vector<Ref>* arrays) {
  std::vector<GroupColumn> columns;
  for (Py_ssize_t i = 0; i < capi::Count(pairs); ++i) {
    const Ref pair = capi::Items(capi::At(pairs, i));
    if (capi::Count(pair) != 2) Raise(PyExc_ValueError, "a column is a pair, got %R", pair.get());
    arrays->push_back(NumbersFrom(state, "group_by", capi::At(pair, 0)));
    columns.push_back(
        {&AsArray(arrays->back().get())->view, ReductionsFrom(state, capi::At(pair, 1)), {}});
  }
  return columns;
}

// [[array, …], …]: an array for each reduction of each column.
Ref ResultLists(ModuleState* state, std::vector<GroupColumn>& columns) {
  Ref lists = Check(PyList_New(0));
  for (GroupColumn& column : columns) {
    const Ref list = Check(PyList_New(0));
    for (View& result : column.results) {
      const Ref array = NewArray(state, std::move(result));
      capi::CheckStatus(PyList_Append(list.get(), array.get()));
    }
    capi::CheckStatus(PyList_Append(lists.get(), list.get()));
  }
  return lists;
}

Ref GroupReduce(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<5> kSignature(
      "_group_reduce", {"keys", "low", "groups", "columns", "ddof"}, 5, 5);
  const auto [keys_object, low, groups, pairs, ddof] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* const state = StateOf(module);
  const Ref keys = NumbersFrom(state, "group_by", keys_object);
  const int64_t count = capi::Integer(groups);
  if (count < 1 || count > order::kMostGroups) Raise(PyExc_ValueError, "no such number of groups");
  std::vector<Ref> arrays;
  std::vector<GroupColumn> columns = ColumnsFrom(state, capi::Items(pairs), &arrays);
  const View& view = AsArray(keys.get())->view;
  const int64_t first = capi::Integer(low);
  const double less = capi::Double(ddof);
  int64_t bytes = view.layout.nbytes();
  for (const GroupColumn& column : columns) bytes += column.values->layout.nbytes();
  View counts = capi::Take(
      RunDetached(bytes, [&] { return order::GroupReduce(view, first, count, columns, less); }));
  const Ref lists = ResultLists(state, columns);
  const Ref counted = NewArray(state, std::move(counts));
  return Check(PyTuple_Pack(2, counted.get(), lists.get()));
}

}  // namespace

PyMethodDef group_functions[] = {
    {"_group_reduce", capi::Method<&GroupReduce>(), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
