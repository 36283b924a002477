/* SPDX-License-Identifier: Apache-2.0
 *
 * fewbins: run a .fewbins model from C. No dependency but the C++ runtime.
 *
 *   fewbins_options options = FEWBINS_OPTIONS_INIT;
 *   fewbins_session* session = NULL;
 *   fewbins_error* error = NULL;
 *   if (fewbins_load("model.fewbins", &options, &session, &error) != FEWBINS_OK) {
 *     fprintf(stderr, "%s\n", fewbins_error_message(error));
 *     fewbins_error_free(error);
 *   }
 *   fewbins_input in = {sizeof in, pixels, sizeof pixels, FEWBINS_FLOAT32, {4, {1, 3, 224, 224}}};
 *   fewbins_output out = {sizeof out, logits, sizeof logits};
 *   fewbins_run(session, &in, 1, &out, 1, NULL);
 *   fewbins_free(session);
 *
 * Errors: a call that can fail returns a status, and takes `error`, which may be NULL. Where it is not, *error becomes
 * NULL on success and else an object with one line of text, which the caller frees.
 * Threads: a session may be used from several threads at once; each run takes memory of its own. Freeing is the
 * exception: nobody may use the session any more.
 * Versions: structs carry their size (`struct_size = sizeof the struct`), and new members go to their ends, so a
 * program compiled against an older header keeps working.
 */
#ifndef FEWBINS_H
#define FEWBINS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FEWBINS_API __attribute__((visibility("default")))
#else
#define FEWBINS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define FEWBINS_ABI_VERSION 1u
#define FEWBINS_MAX_RANK 8

typedef enum fewbins_status {
  FEWBINS_OK = 0,
  FEWBINS_INVALID_ARGUMENT = 1, /* an option or argument that makes no sense */
  FEWBINS_MODEL_FILE = 2,       /* a file that is truncated, corrupt, over a limit, or of an unknown version */
  FEWBINS_UNSUPPORTED = 3,      /* something correct that this engine does not do */
  FEWBINS_IO = 4,               /* the file cannot be opened or read */
  FEWBINS_OUT_OF_MEMORY = 5,
  FEWBINS_INTERNAL = 6, /* a state that should be impossible, or a failed self-test */
  FEWBINS_SHAPE = 7     /* sizes that do not fit the model */
} fewbins_status;

typedef enum fewbins_dtype {
  /* All but pixels lie in the axis order of the model: N, C, H, W for images. */
  FEWBINS_FLOAT32 = 0,
  FEWBINS_UINT8 = 1, /* for a float32 input of a model that carries its preprocessing: pixels 0..255, N, H, W, C */
  FEWBINS_BOOL = 2,  /* one byte, 0 or 1 (as an input, any byte but 0 is true) */
  FEWBINS_INT32 = 3,
  FEWBINS_INT64 = 4
} fewbins_dtype;

typedef struct fewbins_session fewbins_session;
typedef struct fewbins_error fewbins_error;

/* The version of this interface that the library has; FEWBINS_ABI_VERSION is the header's. */
FEWBINS_API uint32_t fewbins_abi_version(void);
/* "1.2.3" */
FEWBINS_API const char* fewbins_version(void);

FEWBINS_API fewbins_status fewbins_error_status(const fewbins_error* error);
/* One line; lives as long as the error. "" for NULL. */
FEWBINS_API const char* fewbins_error_message(const fewbins_error* error);
FEWBINS_API void fewbins_error_free(fewbins_error* error); /* NULL is fine */

/* ---- loading ---- */

typedef struct fewbins_options {
  size_t struct_size;
  int32_t threads;      /* of one run; 0: FEWBINS_NUM_THREADS, else what affinity and cgroup allow */
  int32_t check_finite; /* not 0: NaN and infinity in an input are errors */
  const char* isa;      /* cap on the instruction set, "avx2"; NULL: FEWBINS_ISA, else the best of this CPU */
  const char*
      kernel; /* layers that it fits take it, an error where it fits none; NULL: FEWBINS_KERNEL, or our choice */
} fewbins_options;

#define FEWBINS_OPTIONS_INIT {sizeof(fewbins_options), 0, 0, NULL, NULL}

/* `options` may be NULL. The file is mapped: replace it by renaming another over it, do not write into it. */
FEWBINS_API fewbins_status fewbins_load(const char* path, const fewbins_options* options, fewbins_session** session,
                                        fewbins_error** error);
/* The bytes are copied. */
FEWBINS_API fewbins_status fewbins_load_memory(const void* data, size_t size, const fewbins_options* options,
                                               fewbins_session** session, fewbins_error** error);
FEWBINS_API void fewbins_free(fewbins_session* session); /* NULL is fine */

/* ---- what a model takes and gives ---- */

typedef struct fewbins_shape {
  int32_t rank;
  int64_t dims[FEWBINS_MAX_RANK];
} fewbins_shape;

typedef struct fewbins_tensor_info {
  size_t struct_size;
  const char* name;     /* lives as long as the session */
  fewbins_dtype dtype;  /* of masks and indices it is not FEWBINS_FLOAT32 */
  fewbins_shape shape;  /* in the model's axis order; -1: free */
  int32_t takes_pixels; /* inputs: FEWBINS_UINT8 is accepted too */
} fewbins_tensor_info;

FEWBINS_API size_t fewbins_input_count(const fewbins_session* session);
FEWBINS_API size_t fewbins_output_count(const fewbins_session* session);
FEWBINS_API fewbins_status fewbins_input_info(const fewbins_session* session, size_t index, fewbins_tensor_info* info,
                                              fewbins_error** error);
FEWBINS_API fewbins_status fewbins_output_info(const fewbins_session* session, size_t index, fewbins_tensor_info* info,
                                               fewbins_error** error);
/* The shapes of all outputs for these shapes of all inputs, in the model's axis order. */
FEWBINS_API fewbins_status fewbins_output_shapes(fewbins_session* session, const fewbins_shape* inputs,
                                                 size_t input_count, fewbins_shape* outputs, size_t output_count,
                                                 fewbins_error** error);

/* ---- running ---- */

typedef struct fewbins_input {
  size_t struct_size;
  const void* data;
  size_t bytes; /* must be what dtype and shape need */
  fewbins_dtype dtype;
  fewbins_shape shape; /* in the order in which the data lies: N, H, W, C for pixels */
} fewbins_input;

typedef struct fewbins_output {
  size_t struct_size;
  void* data;   /* of the dtype that fewbins_output_info tells, in the model's axis order */
  size_t bytes; /* must be what the output needs: fewbins_output_shapes */
} fewbins_output;

FEWBINS_API fewbins_status fewbins_run(fewbins_session* session, const fewbins_input* inputs, size_t input_count,
                                       const fewbins_output* outputs, size_t output_count, fewbins_error** error);

typedef struct fewbins_profile_row {
  size_t struct_size;
  size_t step;
  const char* op; /* the strings live until the callback returns */
  const char* name;
  const char* kernel;
  const char* form;
  double median_ms;
  double min_ms;
  int64_t macs;
  int64_t bytes;
} fewbins_profile_row;

/* Times every step over `repeats` runs and calls `row` once per step, in order. */
FEWBINS_API fewbins_status fewbins_profile(fewbins_session* session, const fewbins_input* inputs, size_t input_count,
                                           int32_t repeats, void (*row)(const fewbins_profile_row* row, void* user),
                                           void* user, fewbins_error** error);

/* Runs every kernel of this CPU against plain arithmetic; FEWBINS_INTERNAL and the first failures otherwise. */
FEWBINS_API fewbins_status fewbins_self_test(fewbins_error** error);

#ifdef __cplusplus
}
#endif

#endif /* FEWBINS_H */
