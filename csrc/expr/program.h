// A program: the steps of one pass over the data, block by block. Its operands are places - inputs,
// numbers, registers of up to 8 KiB and outputs - that hold one block each.
//
// Owns: its steps. Threads: immutable once built, shared by the threads that run it.
// Attached: not needed. Fails: never.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "array/fold.h"
#include "array/loader.h"
#include "expr/graph.h"
#include "simd/kernels.h"

namespace spanflow::expr {

// The index of a place: inputs first, then numbers, outputs and registers.
using Place = uint32_t;

// Links [first, first + size) of a program.
struct Chain {
  simd::ChainKernel kernel;
  uint32_t first = 0;
  uint32_t size = 0;
};

struct Step {
  enum class Type : uint8_t { kOp, kCast, kCompress, kChain };
  Type type;
  simd::ElementwiseFn run = nullptr;  // kOp
  Chain chain = {};                   // kChain
  simd::CastFn cast = nullptr;        // kCast
  int64_t itemsize = 0;               // kCompress
  std::array<Place, 3> in{};
  Place out = 0;
  uint32_t domain = 0;     // whose elements are read
  uint32_t to_domain = 0;  // kCompress: whose elements are written
  ValueId value = kNoValue;
};

// One operation of a chain.
struct Link {
  static constexpr Place kRunning = ~Place{0};  // the result of the link before

  simd::Op op{};
  std::array<Place, 3> in{};  // kRunning too where there is no such operand
};

// Reductions of one value: of what lies in a place, or of what a chain gives.
struct Fold {
  Place in = 0;
  Chain chain = {};  // not empty: its results are summed, and written nowhere
  uint32_t domain = 0;
  array::SharedKernels kernels;
  size_t first = 0;             // accumulator
  std::vector<ValueId> values;  // the reductions
};

// Where an output goes: the place of a root, or an array between two passes.
struct Destination {
  bool is_root = true;
  size_t index = 0;
  base::Layout layout;
};

struct Output {
  ValueId value;
  Destination to;
  base::Kind kind;  // that the steps write
  bool is_direct =
      false;  // a step writes to the output's place; else what lies in `from` is stored
  Place from = 0;
};

// What is left of a value after a mask filtered it: as many elements as it may be.
struct FilteredOutput {
  ValueId value;
  base::Kind kind;  // that lies in `from`
  Place from;
  uint32_t domain;
};

// A source of the graph, or the result of an earlier pass's reduction.
struct Input {
  ValueId value;
  base::Layout layout;
};

struct NumberInput {
  base::Kind kind;
  std::array<std::byte, 16> item;
  bool is_whole = false;  // some step reads a block of it; a chain reads 64 bytes again and again
};

struct Program {
  base::Dims shape;
  std::vector<Input> inputs;
  std::vector<NumberInput> numbers;
  std::vector<Step> steps;
  std::vector<Link> links;  // of all chains
  std::vector<Fold> folds;
  std::vector<Output> outputs;
  std::vector<FilteredOutput> filtered;
  size_t registers = 0;
  size_t domains = 1;       // 0: all elements; each mask that filters makes one
  size_t accumulators = 0;  // of all folds; behind them lies one for the count of each domain
  int64_t widest = 1;       // bytes of the largest item in a place

  bool is_number(Place place) const { return place >= number_place(0) && place < output_place(0); }
  Place number_place(size_t i) const { return static_cast<Place>(inputs.size() + i); }
  Place output_place(size_t i) const { return number_place(numbers.size() + i); }
  Place register_place(size_t i) const { return output_place(outputs.size() + i); }
  std::span<const Link> LinksOf(const Chain& chain) const {
    return std::span(links).subspan(chain.first, chain.size);
  }
  size_t places() const { return register_place(registers); }
};

// The work of one pass over one index space.
struct Pass {
  struct Target {
    ValueId value;
    Destination to;
  };
  base::Dims shape;
  std::vector<Target> targets;
  std::vector<ValueId> reductions;  // of all elements
  std::vector<ValueId> filtered;    // values whose elements are collected
};

// With `careful`, outputs are written only after all steps of a block have read their inputs, so
// that an output may be an input.
Program Build(const Graph& graph, const Pass& pass, bool careful);

}  // namespace spanflow::expr
