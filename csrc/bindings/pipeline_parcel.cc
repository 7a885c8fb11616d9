#include "bindings/pipeline_parcel.h"

#include <utility>

#include "bindings/create.h"
#include "capi/error.h"

namespace spanflow::bindings {
namespace {

using base::Result;
using base::Status;
using capi::Check;
using capi::Ref;
using pipeline::Part;

// Foreign bytes with what keeps them alive, and a borrow, so that nobody closes them meanwhile.
class KeptBlock final : public memory::Block {
 public:
  explicit KeptBlock(const Part& part)
      : Block(part.view.block->address(), part.view.block->nbytes(), part.view.block->kind(),
              part.view.block->readonly()),
        part_(part),
        borrow_(std::in_place, part.view.block.get(), memory::Borrower::kPipeline) {}

  bool ok() const { return borrow_->ok(); }
  uint64_t faults() const override { return part_.view.block->faults(); }
  std::string description() const override { return part_.view.block->description(); }

 private:
  void ReleaseBytes() noexcept override {
    borrow_.reset();
    part_ = Part();
  }

  Part part_;
  std::optional<memory::Borrow> borrow_;
};

Result<Part> Independent(const Part& part) {
  if (part.view.block->closed()) return Status::Value("operation on a closed array");
  if (part.keep == nullptr) return Part(part.view);
  auto* kept = new KeptBlock(part);
  Part made(part.view);
  made.view.block = memory::BlockRef::Adopt(kept);
  if (!kept->ok()) return Status::Value("operation on a closed array");
  return made;
}

void Append(ModuleState* state, const PythonSide* side, PyObject* object, Parcel* parcel) {
  ArrayObject* array = OpenArray(object);
  if (array->lease == nullptr) {
    parcel->parts.emplace_back(array->view);
  } else if (side != nullptr) {
    parcel->parts.push_back(capi::Take(Independent(PartOf(*side, array))));
  } else {
    const Ref copy = CopyOf(state, array->view, array->view.dtype());
    parcel->parts.emplace_back(AsArray(copy.get())->view);
  }
}

Ref ArrayOf(ModuleState* state, const Part& part) {
  return NewArray(state, array::View(part.view));
}

Ref ArraysOf(ModuleState* state, const Parcel& parcel) {
  Ref tuple = Check(PyTuple_New(static_cast<Py_ssize_t>(parcel.parts.size())));
  for (size_t i = 0; i < parcel.parts.size(); ++i) {
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i),
                     ArrayOf(state, parcel.parts[i]).release());
  }
  return tuple;
}

Ref DictOf(const std::vector<std::string>& names, const Ref& arrays) {
  Ref dict = Check(PyDict_New());
  for (size_t i = 0; i < names.size(); ++i) {
    PyObject* const array = PyTuple_GET_ITEM(arrays.get(), static_cast<Py_ssize_t>(i));
    capi::CheckStatus(PyDict_SetItemString(dict.get(), names[i].c_str(), array));
  }
  return dict;
}

}  // namespace

int64_t Parcel::nbytes() const {
  auto sum = static_cast<int64_t>(pickle.size());
  for (const Part& part : parts) sum += part.view.layout.nbytes();
  return sum;
}

Result<Parcel> ParcelOf(const pipeline::Chunk& chunk) {
  Parcel parcel;
  parcel.form =
      chunk.form.is_tuple || chunk.form.names ? Parcel::Form::kTuple : Parcel::Form::kArray;
  parcel.names = chunk.form.names;
  for (int i = 0; i < chunk.size(); ++i) {
    SPANFLOW_ASSIGN(Part part, Independent(chunk[i]));
    parcel.parts.push_back(std::move(part));
  }
  return parcel;
}

Parcel ParcelOf(ModuleState* state, const PythonSide* side, PyObject* pack, PyObject* object) {
  Parcel parcel;
  if (IsArray(state, object)) {
    Append(state, side, object, &parcel);
    return parcel;
  }
  const Ref packed = Check(PyObject_CallOneArg(pack, object));
  PyObject* bytes;
  PyObject* arrays;
  if (!PyArg_ParseTuple(packed.get(), "SO!", &bytes, &PyList_Type, &arrays)) {
    throw capi::PythonError{};
  }
  parcel.form = Parcel::Form::kPickle;
  parcel.pickle.assign(PyBytes_AS_STRING(bytes), static_cast<size_t>(PyBytes_GET_SIZE(bytes)));
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(arrays); ++i) {
    Append(state, side, PyList_GET_ITEM(arrays, i), &parcel);
  }
  return parcel;
}

Ref Unpack(ModuleState* state, PyObject* unpack, const Parcel& parcel) {
  if (parcel.form == Parcel::Form::kArray) return ArrayOf(state, parcel.parts[0]);
  Ref arrays = ArraysOf(state, parcel);
  if (parcel.names != nullptr) return DictOf(*parcel.names, arrays);
  if (parcel.form == Parcel::Form::kTuple) return arrays;
  const Ref bytes = Check(PyBytes_FromStringAndSize(parcel.pickle.data(),
                                                    static_cast<Py_ssize_t>(parcel.pickle.size())));
  return Check(PyObject_CallFunctionObjArgs(unpack, bytes.get(), arrays.get(), nullptr));
}

}  // namespace spanflow::bindings
