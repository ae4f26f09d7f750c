/** The frames of bench:tcp: a read of ten input registers, and its answer. */
export const REGISTERS = 10
export const REQUEST_BYTES = 12
export const ANSWER_BYTES = 9 + 2 * REGISTERS

//                            trans proto len   id fn address registers
export const REQUEST = Buffer.of(0, 1, 0, 0, 0, 6, 1, 4, 0, 0, 0, REGISTERS)

/** The answer to the request that stands at `at`. */
export function answerTo(requests: Buffer, at: number): Buffer {
  const answer = Buffer.alloc(ANSWER_BYTES, 0x11)
  requests.copy(answer, 0, at, at + 2)
  //                  proto len                        id fn bytes
  answer.set([0, 0, 0, 3 + 2 * REGISTERS, 1, 4, 2 * REGISTERS], 2)
  return answer
}
