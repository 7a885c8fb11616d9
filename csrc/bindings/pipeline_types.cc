// What comes out of a native stage for arrays of given dtypes and shapes, before any run.

#include "bindings/create.h"
#include "bindings/dtype_object.h"
#include "bindings/pipeline.h"
#include "bindings/pipeline_build.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Ref;
using pipeline::Chunk;
using pipeline::Inferred;
using pipeline::Outline;
using pipeline::Part;

std::byte nothing[16];  // what the views below point to; never read

array::View ViewOf(ModuleState* state, PyObject* entry) {
  PyObject* dtype;
  PyObject* shape;
  if (!PyArg_ParseTuple(entry, "OO", &dtype, &shape)) throw capi::PythonError{};
  array::View view;
  view.data = nothing;
  view.layout.dtype = DTypeFromObject(state, dtype);
  view.layout.shape = ShapeFromObject(shape);
  view.layout.strides = base::Dims(view.layout.shape.size(), 0);
  return view;
}

// A chunk of such arrays; at the source's first rows, if it stands for some.
void FillChunk(ModuleState* state, PyObject* arrays, bool has_rows, Chunk* chunk) {
  const Ref items = capi::Items(arrays);
  for (Py_ssize_t i = 0; i < capi::Count(items); ++i) {
    Part part(ViewOf(state, capi::At(items, i)));
    if (i == 0)
      (*chunk)[0] = std::move(part);
    else
      chunk->Append(std::move(part));
  }
  const base::Dims& shape = (*chunk)[0].view.layout.shape;
  if (has_rows && !shape.empty()) chunk->rows = shape[0];
}

Inferred InferFrom(const NativeWork& work, const Chunk& chunk) {
  if (const auto* expressions = std::get_if<pipeline::Expressions>(&work)) {
    return capi::Take(pipeline::Infer(*expressions, chunk));
  }
  const auto& operation = std::get<pipeline::Operation>(work);
  Outline outline = capi::Take(operation.Infer(chunk));
  const bool keeps_rows = operation.KeepsRows(chunk.rows, chunk[0].view.ndim(), outline.shape);
  return {{std::move(outline)}, keeps_rows};
}

Ref OutlineTuple(ModuleState* state, const Outline& outline) {
  const Ref dtype = WrapDType(state, outline.dtype);
  const Ref shape = DimsTuple(outline.shape);
  return Check(PyTuple_Pack(2, dtype.get(), shape.get()));
}

// None for a stage that calls Python.
Ref InferFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("_infer", {"stage", "arrays", "rows", "names"}, 4,
                                                 4);
  const auto [stage, arrays, rows, names] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  Built built;
  built.held = Check(PyList_New(0));
  const NativeWork work = NativeWorkOf(state, stage, &built);
  if (std::holds_alternative<std::monostate>(work)) return capi::None();
  Chunk chunk;
  FillChunk(state, arrays, capi::Truth(rows), &chunk);
  chunk.form.names = NamesFrom(names);
  const Inferred inferred = InferFrom(work, chunk);
  const Ref list = Check(PyList_New(0));
  for (const Outline& outline : inferred.arrays) {
    capi::CheckStatus(PyList_Append(list.get(), OutlineTuple(state, outline).get()));
  }
  const Ref tuple = Check(PyList_AsTuple(list.get()));
  return Check(PyTuple_Pack(2, tuple.get(), inferred.keeps_rows ? Py_True : Py_False));
}

}  // namespace

PyMethodDef pipeline_type_functions[] = {
    {"_infer", capi::Method<&InferFunction>(), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
