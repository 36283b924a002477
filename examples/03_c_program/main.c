/* SPDX-License-Identifier: Apache-2.0
 *
 * Run a model from C: load it, ask what it takes and gives, run it on one input of zeros, print the first outputs.
 *
 *   cmake -S . -B build -DCMAKE_PREFIX_PATH=/where/fewbins/is && cmake --build build && ./build/c_program model.fewbins
 */
#include <fewbins.h>
#include <stdio.h>
#include <stdlib.h>

/* Print what went wrong, and end with the exit code of fewbins' own programs. */
static void stop(fewbins_error* error) {
  fprintf(stderr, "c_program: %s\n", fewbins_error_message(error));
  fewbins_error_free(error);
  exit(2);
}

static size_t element_count(const fewbins_shape* shape) {
  size_t count = 1;
  for (int32_t axis = 0; axis < shape->rank; ++axis) count *= (size_t)shape->dims[axis];
  return count;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: c_program MODEL.fewbins\n");
    return 2;
  }
  fewbins_error* error = NULL;
  fewbins_session* session = NULL;
  fewbins_options options = FEWBINS_OPTIONS_INIT;
  options.threads = 1;
  if (fewbins_load(argv[1], &options, &session, &error) != FEWBINS_OK) stop(error);
  printf("fewbins %s, %zu input(s), %zu output(s)\n", fewbins_version(), fewbins_input_count(session),
         fewbins_output_count(session));

  fewbins_tensor_info info = {.struct_size = sizeof info};
  if (fewbins_input_info(session, 0, &info, &error) != FEWBINS_OK) stop(error);
  fewbins_shape in_shape = info.shape;
  for (int32_t axis = 0; axis < in_shape.rank; ++axis) {
    if (in_shape.dims[axis] < 0) in_shape.dims[axis] = 1; /* a free size, such as the batch */
  }
  fewbins_shape out_shape;
  if (fewbins_output_shapes(session, &in_shape, 1, &out_shape, 1, &error) != FEWBINS_OK) stop(error);

  const size_t in_count = element_count(&in_shape);
  const size_t out_count = element_count(&out_shape);
  float* x = calloc(in_count, sizeof *x);
  float* y = malloc(out_count * sizeof *y);
  if (x == NULL || y == NULL) return 2;
  const fewbins_input input = {sizeof input, x, in_count * sizeof *x, FEWBINS_FLOAT32, in_shape};
  const fewbins_output output = {sizeof output, y, out_count * sizeof *y};
  if (fewbins_run(session, &input, 1, &output, 1, &error) != FEWBINS_OK) stop(error);

  printf("outputs:");
  for (size_t i = 0; i < out_count && i < 10; ++i) printf(" %g", (double)y[i]);
  printf("\n");
  free(x);
  free(y);
  fewbins_free(session);
  return 0;
}
