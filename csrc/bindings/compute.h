// Computes expressions for the arrays that Python gives: columns by name, places for the results.
//
// Owns: nothing; a ComputationCache owns the computation that it keeps.
// Threads: thread-safe. Attached: always; large work detaches inside.
// Fails: what expr/compute.h says; TypeError for objects that are no arrays.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "bindings/operation.h"
#include "expr/compute.h"

namespace spanflow::bindings {

// What computed the same expressions last, which threads share and replace.
class ComputationCache {
 public:
  std::shared_ptr<expr::Computation> Get() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return computation_;
  }
  void Set(std::shared_ptr<expr::Computation> computation) {
    const std::lock_guard<std::mutex> lock(mutex_);
    computation_.swap(computation);
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<expr::Computation> computation_;
};

// The columns of one computation, with the arrays that own their bytes.
class Columns {
 public:
  Columns() = default;
  explicit Columns(size_t count) {
    arrays_.reserve(count);
    all_.reserve(count);
  }
  void Add(ModuleState* state, std::string name, PyObject* object);
  std::span<const expr::Column> all() const { return all_; }

 private:
  std::vector<capi::Ref> arrays_;
  std::vector<expr::Column> all_;
};

// Of a mapping of names to arrays, or none.
Columns ColumnsFrom(ModuleState* state, PyObject* mapping);

// What computes the roots for these columns: the cached one where it serves. `cache` may be null.
std::shared_ptr<expr::Computation> ComputationFor(std::span<const expr::NodeRef> roots,
                                                  ComputationCache* cache, const Columns& columns,
                                                  std::span<const array::View* const> outs = {});

// The result of each root. `outs` is empty or has an entry for each: an array, null or None.
std::vector<capi::Ref> Compute(ModuleState* state, std::span<const expr::NodeRef> roots,
                               ComputationCache* cache, const Columns& columns,
                               std::span<PyObject* const> outs, PyObject* threads);

// As a tuple.
capi::Ref TupleOf(std::vector<capi::Ref> items);

// The entries for `count` results of None, or of any sequence; a tuple or empty.
capi::Ref OutsFrom(PyObject* sequence, size_t count);
std::span<PyObject* const> ItemsOf(const capi::Ref& tuple);  // of an empty Ref: none

extern PyMethodDef compute_functions[];

}  // namespace spanflow::bindings
