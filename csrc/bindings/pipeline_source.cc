// Any iterable as the source of a pipeline.

#include <utility>

#include "bindings/pipeline_calling.h"
#include "bindings/pipeline_stages.h"

namespace spanflow::bindings {
namespace {

using base::Result;
using base::Status;
using capi::Ref;
using pipeline::Context;
using pipeline::Item;

// The items of built-in collections are there already; any other iterator may wait for something.
bool MayWait(PyObject* iterator) {
  const PyTypeObject* const type = Py_TYPE(iterator);
  for (const PyTypeObject* known :
       {&PyListIter_Type, &PyTupleIter_Type, &PyRangeIter_Type, &PyLongRangeIter_Type,
        &PyDictIterKey_Type, &PyDictIterValue_Type, &PyDictIterItem_Type, &PySetIter_Type,
        &PyBytesIter_Type, &PyByteArrayIter_Type, &PyUnicodeIter_Type}) {
    if (type == known) return false;
  }
  return true;
}

class IteratorRun final : public pipeline::SourceRun {
 public:
  IteratorRun(PythonSide side, PyObject* iterator, bool to_arrays)
      : side_(std::move(side)),
        iterator_(iterator),
        to_arrays_(to_arrays),
        never_waits_(!MayWait(iterator)) {}

  Status Produce(const pipeline::Request& request, pipeline::Produced* produced,
                 Context& context) override {
    return RunAttached(side_, context, [&] {
      int64_t nbytes = 0;
      for (Item& item : request.items) {
        Ref object = Ref::Steal(PyIter_Next(iterator_));
        if (!object) {
          if (PyErr_Occurred() != nullptr) throw capi::PythonError{};
          produced->end = true;
          break;
        }
        item = ItemFromObject(side_, std::move(object), to_arrays_);
        ++produced->count;
        nbytes += item->nbytes();
        if (!never_waits_ || nbytes >= request.nbytes) break;
      }
      return Status::Ok();
    });
  }

 private:
  const PythonSide side_;
  PyObject* iterator_;
  const bool to_arrays_;
  const bool never_waits_;  // else each item goes on its way before the next is asked for
};

class IteratorDescription final : public pipeline::Source {
 public:
  IteratorDescription(PythonSide side, std::string name, PyObject* iterator, bool to_arrays)
      : side_(std::move(side)),
        name_(std::move(name)),
        iterator_(iterator),
        to_arrays_(to_arrays) {}
  std::string Name() const override { return name_; }
  bool may_wait() const override { return MayWait(iterator_); }
  Result<std::unique_ptr<pipeline::SourceRun>> Open(pipeline::Shape*) const override {
    return std::unique_ptr<pipeline::SourceRun>(new IteratorRun(side_, iterator_, to_arrays_));
  }

 private:
  const PythonSide side_;
  const std::string name_;
  PyObject* iterator_;
  const bool to_arrays_;
};

}  // namespace

std::shared_ptr<const pipeline::Source> IteratorSource(PythonSide side, std::string name,
                                                       PyObject* iterator, bool to_arrays) {
  return std::make_shared<IteratorDescription>(std::move(side), std::move(name), iterator,
                                               to_arrays);
}

}  // namespace spanflow::bindings
