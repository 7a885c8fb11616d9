// Operation: a row of the operation tables (simd/ops.h) with its extra operands, applied to chunks
// by map and filter.
//
// The arrays of the chunk are the first operands, the extra ones follow: with one array x and the
// extra operand 2, subtract is x - 2.
//
// Owns: its operands and what keeps their bytes alive. Threads: immutable.
// Attached: not needed. Fails: Apply returns what array/ returns: TypeError, ValueError, OSError.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "array/promote.h"
#include "base/status.h"
#include "pipeline/stage.h"
#include "simd/ops.h"

namespace spanflow::pipeline {

// A Python number, which takes the dtype of the arrays beside it.
using Scalar = std::variant<bool, int64_t, uint64_t, double, std::pair<double, double>>;

struct Operand {
  std::variant<Part, Scalar> value;
  bool aligned = false;  // an array with the source's rows: the chunk's rows of it take part
};

struct Elementwise {
  simd::Op op;
  std::vector<Operand> operands;
};

struct ReduceAxes {
  simd::Reduction reduction;
  bool all_axes = true;
  std::vector<int64_t> axes = {};
  bool keepdims = false;
  double ddof = 0;
};

// An array before there is one.
struct Outline {
  base::DType dtype;
  base::Dims shape;
};

class Operation {
 public:
  explicit Operation(Elementwise elementwise) : work_(std::move(elementwise)) {}
  explicit Operation(ReduceAxes reduce) : work_(std::move(reduce)) {}

  std::string Name() const;  // "multiply", "mean(axis=1)"

  // What Apply would give for a chunk of such arrays, whose bytes are not read, and its errors.
  base::Result<Outline> Infer(const Chunk& chunk) const;

  // The result for a chunk.
  base::Result<array::View> Apply(const Chunk& chunk, Context& context) const;
  // The chunk becomes the result. It is written over the chunk's own array where that was made for
  // this item alone.
  base::Status Map(Chunk* chunk, Context& context) const;

  std::span<const Operand> operands() const;

  // Whether row i of the result for a chunk of `ndim` dimensions, which stands for so many rows of
  // the source, still belongs to row i of these.
  bool KeepsRows(int64_t rows, int ndim, const base::Dims& result) const;

 private:
  std::variant<Elementwise, ReduceAxes> work_;
};

// The arrays of an item; a TypeError for an item of another kind.
base::Result<Chunk*> ChunkOf(const Item& item);

}  // namespace spanflow::pipeline
