// Methods of spanflow.Array.
#include <string>

#include "array/copy.h"
#include "array/create.h"
#include "array/index.h"
#include "bindings/casts.h"
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

using array::View;
using base::DType;
using base::Kind;
using capi::Check;
using capi::Raise;
using capi::Ref;

// The place of element number `flat` in C order.
base::Dims Unravel(const base::Dims& shape, int64_t size, int64_t flat) {
  if (flat < -size || flat >= size) {
    Raise(PyExc_IndexError, "index %lld is out of bounds for size %lld",
          static_cast<long long>(flat), static_cast<long long>(size));
  }
  if (flat < 0) flat += size;
  base::Dims index(shape.size(), 0);
  for (int i = shape.size() - 1; i >= 0; --i) {
    index[i] = flat % shape[i];
    flat /= shape[i];
  }
  return index;
}

Ref Item(PyObject* object, PyObject* const* args, Py_ssize_t nargs) {
  ArrayObject* self = OpenArray(object);
  const View& view = self->view;
  if (nargs == 0) {
    if (view.size() != 1) {
      Raise(PyExc_ValueError,
            "item() without an index needs an array of one element; this one has "
            "%lld",
            static_cast<long long>(view.size()));
    }
    return ReadItem(view, view.data);
  }
  const bool tuple = nargs == 1 && PyTuple_Check(args[0]);
  base::Dims index = tuple ? ShapeFromObject(args[0]) : IntegersFrom(args, nargs);
  if (!tuple && nargs == 1) index = Unravel(view.layout.shape, view.size(), index[0]);
  if (index.size() != view.ndim()) {
    Raise(PyExc_ValueError,
          "item() takes one flat index or one integer for each of %d dimensions, got %d",
          view.ndim(), index.size());
  }
  array::IndexItem items[base::kMaxDims];
  for (int i = 0; i < index.size(); ++i) items[i] = array::IndexItem::Integer(index[i]);
  const View element = capi::Take(array::Index(view, {items, static_cast<size_t>(index.size())}));
  return ReadItem(element, element.data);
}

Ref ToList(PyObject* object, PyObject*) {
  ArrayObject* self = OpenArray(object);
  const AccessScope access(self->view);
  Ref list = ViewToList(self->view);
  access.Finish();
  return list;
}

// NumPy's order codes: C, F (Fortran order), A (F only if the array is Fortran-contiguous).
bool FortranOrder(const View& view, PyObject* order) {
  if (order == nullptr || order == Py_None) return false;
  const char* text = PyUnicode_Check(order) ? PyUnicode_AsUTF8(order) : nullptr;
  const std::string code = text == nullptr ? "" : text;
  if (code == "F") return true;
  if (code == "A" || code == "K") return view.layout.is_fortran();
  if (code == "C") return false;
  Raise(PyExc_ValueError, "order must be 'C', 'F', 'A' or 'K', got %R", order);
}

Ref ToBytes(PyObject* object, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<1> kSignature("tobytes", {"order"}, 1, 0);
  const auto [order] = kSignature.Parse(args, nargs, kwnames);
  ArrayObject* self = OpenArray(object);
  const View& view = self->view;
  Ref bytes = Check(PyBytes_FromStringAndSize(nullptr, view.layout.nbytes()));
  View target;
  target.data = reinterpret_cast<std::byte*>(PyBytes_AS_STRING(bytes.get()));
  target.layout = capi::Take(FortranOrder(view, order)
                                 ? base::Layout::FortranContiguous(view.dtype(), view.layout.shape)
                                 : base::Layout::Contiguous(view.dtype(), view.layout.shape));
  capi::Check(RunDetached(view.layout.nbytes(), [&] { return array::Copy(view, target); }));
  return bytes;
}

// Without it bytes(a) would ask a 0-d integer array for its __index__ and make that many zeros.
Ref Bytes(PyObject* object, PyObject*) { return ToBytes(object, nullptr, 0, nullptr); }

Ref CopyTo(ArrayObject* self, const DType& dtype, bool fortran) {
  View copy = capi::Take(RunDetached(self->view.layout.nbytes(),
                                     [&] { return array::CopyToNew(self->view, dtype, fortran); }));
  return NewArray(self->state, std::move(copy));
}

Ref Copy(PyObject* object, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<1> kSignature("copy", {"order"}, 1, 0);
  const auto [order] = kSignature.Parse(args, nargs, kwnames);
  ArrayObject* self = OpenArray(object);
  return CopyTo(self, self->view.dtype(), FortranOrder(self->view, order));
}
Ref ShallowCopy(PyObject* object, PyObject*) { return Copy(object, nullptr, 0, nullptr); }

// The same bytes as another dtype. A different itemsize changes the last axis, which must then be
// contiguous.
Ref ViewAs(PyObject* object, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<1> kSignature("view", {"dtype"}, 1, 0);
  const auto [dtype] = kSignature.Parse(args, nargs, kwnames);
  ArrayObject* self = OpenArray(object);
  base::Layout layout = self->view.layout;
  if (dtype == nullptr || dtype == Py_None) return NewView(self);
  const int64_t old_size = layout.dtype.itemsize();
  layout.dtype = DTypeFromObject(self->state, dtype);
  const int64_t new_size = layout.dtype.itemsize();
  if (new_size != old_size) {
    const int last = layout.ndim() - 1;
    if (last < 0 || new_size == 0 || (layout.strides[last] != old_size && layout.shape[last] > 1)) {
      Raise(PyExc_ValueError,
            "a view with another itemsize (%lld instead of %lld) needs a contiguous last axis",
            static_cast<long long>(new_size), static_cast<long long>(old_size));
    }
    const int64_t row = layout.shape[last] * old_size;
    if (row % new_size != 0) {
      Raise(PyExc_ValueError,
            "%lld bytes along the last axis are no multiple of the new itemsize %lld",
            static_cast<long long>(row), static_cast<long long>(new_size));
    }
    layout.shape[last] = row / new_size;
    layout.strides[last] = new_size;
  }
  return NewView(self, self->view.With(std::move(layout)));
}

// Arguments as one tuple or spread out: a.reshape((2, 3)) and a.reshape(2, 3).
base::Dims DimsFromArguments(PyObject* const* args, Py_ssize_t nargs) {
  return nargs == 1 ? ShapeFromObject(args[0]) : IntegersFrom(args, nargs);
}

Ref Reshape(PyObject* object, PyObject* const* args, Py_ssize_t nargs) {
  ArrayObject* self = OpenArray(object);
  if (nargs == 0) Raise(PyExc_TypeError, "reshape() needs a shape");
  const base::Dims shape = DimsFromArguments(args, nargs);
  auto layout = base::Reshape(self->view.layout, shape);
  if (layout.ok()) return NewView(self, self->view.With(*std::move(layout)));
  if (layout.status().code() != base::Code::kBuffer) Raise(layout.status());
  const Ref copy = CopyTo(self, self->view.dtype(), false);
  ArrayObject* contiguous = AsArray(copy.get());
  return NewView(contiguous,
                 contiguous->view.With(capi::Take(base::Reshape(contiguous->view.layout, shape))));
}

Ref Transpose(PyObject* object, PyObject* const* args, Py_ssize_t nargs) {
  ArrayObject* self = OpenArray(object);
  const int ndim = self->view.ndim();
  base::Dims axes;
  if (nargs == 0 || (nargs == 1 && args[0] == Py_None)) {
    for (int i = ndim - 1; i >= 0; --i) axes.push_back(i);
  } else {
    axes = DimsFromArguments(args, nargs);
  }
  if (axes.size() != ndim) {
    Raise(PyExc_ValueError, "transpose() needs %d axes, got %d", ndim, axes.size());
  }
  array::AxisSet seen;
  for (int64_t& axis : axes) {
    const int normal = capi::Take(base::NormalizeAxis(axis, ndim));
    if (seen[static_cast<size_t>(normal)])
      Raise(PyExc_ValueError, "transpose(): repeated axis %d", normal);
    seen.set(static_cast<size_t>(normal));
    axis = normal;
  }
  return NewView(self, self->view.With(base::Transpose(self->view.layout, axes)));
}

Ref Fill(PyObject* object, PyObject* value) {
  ArrayObject* self = OpenArray(object);
  CheckWritable(self->view);
  View one = capi::Take(array::Empty(self->view.dtype(), {}));
  const Ref item = IsArray(self->state, value) ? Item(value, nullptr, 0) : Ref::Borrow(value);
  ObjectToItem(one.dtype(), item.get(), one.data);
  capi::Check(
      RunDetached(self->view.layout.nbytes(), [&] { return array::Fill(self->view, one); }));
  return capi::None();
}

// Foreign bytes are released attached, since that calls their exporter; our own while detached.
Ref Close(PyObject* object, PyObject*) {
  ArrayObject* self = AsArray(object);
  memory::Block& block = *self->view.block;
  if (block.kind() == memory::BlockKind::kForeign) {
    capi::Check(block.Close());
  } else {
    capi::Check(RunDetached(block.nbytes(), [&] { return block.Close(); }));
  }
  return capi::None();
}

Ref Flush(PyObject* object, PyObject*) {
  ArrayObject* self = OpenArray(object);
  const AccessScope access(self->view);
  base::Status status;
  if (self->view.block->kind() == memory::BlockKind::kMapped) {
    const capi::DetachScope detached;
    status = self->view.block->Flush();
  }
  capi::Check(status);
  return capi::None();
}

Ref Enter(PyObject* object, PyObject*) {
  OpenArray(object);
  return Ref::Borrow(object);
}
Ref Exit(PyObject* object, PyObject*) { return Close(object, nullptr); }

template <simd::Reduction kReduction>
Ref ReduceMethod(PyObject* object, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<8> kSignature(simd::InfoOf(kReduction).name,
                                                 ReductionCall::kNames, 1, 0);
  const auto [axis, out, keepdims, ddof, correction, where, initial, precise] =
      kSignature.Parse(args, nargs, kwnames);
  return ApplyReduction(AsArray(object)->state, kReduction, object,
                        {axis, out, keepdims, ddof, correction, where, initial, precise});
}

template <simd::Scan kScan>
Ref ScanMethod(PyObject* object, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<2> kSignature(simd::InfoOf(kScan).name, {"axis", "out"}, 1, 0);
  const auto [axis, out] = kSignature.Parse(args, nargs, kwnames);
  return ApplyScan(AsArray(object)->state, kScan, object, axis, out);
}

Ref ClipMethod(PyObject* object, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("clip", {"lower", "upper", "out"}, 3, 0);
  const auto [lower, upper, out] = kSignature.Parse(args, nargs, kwnames);
  PyObject* const operands[] = {object, lower == nullptr ? Py_None : lower,
                                upper == nullptr ? Py_None : upper};
  return ApplyOperation(AsArray(object)->state, simd::Op::kClip, operands, out);
}

#define FAST(function) capi::Method<&function>(), METH_FASTCALL | METH_KEYWORDS
#define POSITIONAL(function) capi::Method<&function>(), METH_FASTCALL
#define REDUCTION(Name, name)                                                                     \
  {                                                                                               \
    name, capi::Method<&ReduceMethod<simd::Reduction::k##Name>>(), METH_FASTCALL | METH_KEYWORDS, \
        name                                                                                      \
        "($self, /, axis=None, *, out=None, keepdims=False, ddof=0, correction=0, "               \
        "where=True, initial=None, precise=False)\n--\n\n"                                        \
        "See spanflow." name "."                                                                  \
  }

}  // namespace

PyMethodDef array_methods[] = {
    {"item", POSITIONAL(Item),
     "item($self, /, *index)\n"
     "--\n"
     "\n"
     "One element as a Python object.\n"
     "\n"
     "index is nothing for the only element, one integer (negative from the end) for its place in "
     "C\n"
     "order, or one integer for each dimension, spread or as a tuple. Raises ValueError for "
     "another\n"
     "number of them, IndexError for one that is out of bounds, TypeError for what is no integer."},
    {"tolist", capi::Method<&ToList>(), METH_NOARGS,
     "tolist($self, /)\n--\n\nNested lists of Python objects; one object for a 0-d array."},
    {"tobytes", FAST(ToBytes),
     "tobytes($self, /, order='C')\n"
     "--\n"
     "\n"
     "The size * itemsize bytes of the elements, one behind the other, in their own byte order.\n"
     "\n"
     "order is 'C', 'F', or 'A' and 'K', which keep Fortran order; anything else is a ValueError.\n"
     "Raises MemoryError, and OSError for missing pages of a mapped file."},
    {"__bytes__", capi::Method<&Bytes>(), METH_NOARGS, nullptr},
    {"copy", FAST(Copy),
     "copy($self, /, order='C')\n"
     "--\n"
     "\n"
     "A new writable array on the heap of the same shape, dtype and elements.\n"
     "\n"
     "order is 'C', 'F', or 'A' and 'K', which keep Fortran order; anything else is a ValueError.\n"
     "Raises MemoryError, and OSError for missing pages of a mapped file."},
    {"__complex__", capi::Method<&ArrayComplex>(), METH_NOARGS, nullptr},
    {"__copy__", capi::Method<&ShallowCopy>(), METH_NOARGS, nullptr},
    {"__deepcopy__", capi::Method<&ShallowCopy>(), METH_O, nullptr},
    {"astype", FAST(AsType),
     "astype($self, /, dtype, *, casting='unsafe', saturate=False, copy=True)\n--\n\n"
     "A new array of the same shape with the elements cast to dtype, as C casts numbers.\n\n"
     "casting says which casts are allowed, as in can_cast(). With saturate numbers that an "
     "integer\ndtype does not hold become the nearest one that it does, and NaN becomes 0. "
     "copy=False returns\nthe array itself when the dtype is the same. Raises TypeError for a "
     "dtype that spanflow does\nnot have or to which this one does not cast (numbers cast to "
     "numbers, bytes to bytes, records to\nrecords of the same field names), ValueError for "
     "another rule."},
    {"byteswap", FAST(ByteSwap),
     "byteswap($self, /, inplace=False)\n--\n\n"
     "A new array of the same dtype with the bytes of every number reversed, or the array itself "
     "with\ninplace.\n\nThe values change; astype(a.dtype.newbyteorder()) keeps them. Parts of "
     "complex numbers and\nfields of records are reversed one by one, bytes (S) not at all. "
     "Raises ValueError for a read-only\narray and inplace."},
    {"view", FAST(ViewAs),
     "view($self, /, dtype=None)\n"
     "--\n"
     "\n"
     "The same bytes seen as another dtype, without copying.\n"
     "\n"
     "An itemsize other than this array's changes the length of the last axis, which must then be\n"
     "contiguous and hold a whole number of new elements, else ValueError. Raises TypeError for a\n"
     "dtype that spanflow does not have."},
    {"reshape", POSITIONAL(Reshape),
     "reshape($self, /, *shape)\n"
     "--\n"
     "\n"
     "The same elements in C order in another shape: a view where possible, else a copy.\n"
     "\n"
     "shape is integers, spread or as a tuple, with the same product; one of them may be -1, "
     "which\n"
     "is then computed. Raises ValueError for another product, TypeError for what is no integer."},
    {"transpose", POSITIONAL(Transpose),
     "transpose($self, /, *axes)\n"
     "--\n"
     "\n"
     "A view with its axes permuted; reversed when none are given.\n"
     "\n"
     "axes is one integer for each dimension, spread or as a tuple, each axis once (negative from\n"
     "the end), else ValueError. Raises TypeError for what is no integer."},
    {"fill", capi::Method<&Fill>(), METH_O,
     "fill($self, value, /)\n"
     "--\n"
     "\n"
     "Set every element to value: a number, bytes, a tuple for a record, or an array of one "
     "element.\n"
     "\n"
     "Raises TypeError for a value that is no element of the dtype, OverflowError for an int that\n"
     "does not fit it, ValueError for a read-only array."},
    {"clip", FAST(ClipMethod),
     "clip($self, /, lower=None, upper=None, out=None)\n--\n\nSee spanflow.clip."},
    {"sort", FAST(SortInPlace),
     "sort($self, /, axis=-1, kind=None, *, descending=False, stable=None)\n--\n\n"
     "Sort the array in place along an axis; see spanflow.sort."},
    {"close", capi::Method<&Close>(), METH_NOARGS,
     "close($self, /)\n--\n\nLet the bytes go now: unmap the file, free the memory, release the "
     "exporter.\n\n"
     "All views of the same bytes are closed with it; every later access raises ValueError.\n"
     "BufferError, which says who, while anything still uses the bytes."},
    {"flush", capi::Method<&Flush>(), METH_NOARGS,
     "flush($self, /)\n--\n\nWrite changes of a mapping opened with 'r+' or 'w+' to its file; "
     "waits for it."},
    {"__enter__", capi::Method<&Enter>(), METH_NOARGS, nullptr},
    {"__exit__", capi::Method<&Exit>(), METH_VARARGS, nullptr},
    {"__reduce_ex__", capi::Method<&ReduceArray>(), METH_O, nullptr},
#define SPANFLOW_ROW(Name, name, ...) REDUCTION(Name, name),
    SPANFLOW_PLAIN_REDUCTIONS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
#define SPANFLOW_ROW(Name, name, ...)           \
  {name, FAST(ScanMethod<simd::Scan::k##Name>), \
   name "($self, /, axis=None, *, out=None)\n--\n\nSee spanflow." name "."},
        SPANFLOW_SCANS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
            {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
