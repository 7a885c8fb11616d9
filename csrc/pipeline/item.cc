#include "pipeline/item.h"

namespace spanflow::pipeline {

int64_t Chunk::nbytes() const {
  int64_t sum = first_.view.layout.nbytes();
  for (const Part& part : rest_) sum += part.view.layout.nbytes();
  return sum;
}

void Chunk::Replace(Part part) {
  first_ = std::move(part);
  KeepFirst();
}

void Chunk::KeepFirst() {
  rest_.clear();
  form = {};
  credit = {};
}

}  // namespace spanflow::pipeline
