// Parcel: Python values on their way from one interpreter to another.
//
// Arrays go as they are, views of the same native blocks: the other side makes new Array objects of
// them, with the same address. Everything else goes as the bytes that pickle makes of it, in which
// arrays are numbers. What a parcel holds of an interpreter, the lease of foreign bytes, is dropped
// in that one, wherever the parcel or the last array of it dies.
//
// Owns: references to blocks and leases. Threads: belongs to one thread at a time.
// Attached: to the interpreter of `state`, in all functions but ParcelOf(Chunk).
// Fails: PythonError when a value cannot be pickled; ValueError for an array that was closed.
#pragma once

#include <string>
#include <vector>

#include "bindings/pipeline_value.h"

namespace spanflow::bindings {

struct Parcel {
  enum class Form : uint8_t { kArray, kTuple, kPickle };

  Form form = Form::kArray;
  std::vector<pipeline::Part> parts;
  pipeline::Names names;  // of kTuple: a dict with these, unless null
  std::string pickle;
  bool is_error = false;

  int64_t nbytes() const;
};

// A chunk without Python: its arrays keep alive what they must.
base::Result<Parcel> ParcelOf(const pipeline::Chunk& chunk);

// Any object. `pack` is spanflow._crossing.pack of the same interpreter. With `side`, leases are
// held for another interpreter; without, foreign bytes are copied, as this one may end before they
// are used.
Parcel ParcelOf(ModuleState* state, const PythonSide* side, PyObject* pack, PyObject* object);

// The object again, in any interpreter; `unpack` is spanflow._crossing.unpack.
capi::Ref Unpack(ModuleState* state, PyObject* unpack, const Parcel& parcel);

}  // namespace spanflow::bindings
