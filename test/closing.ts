/** Has something closed when the test ends. */
export type Later = (close: () => unknown) => void

/**
 * A test that opens servers, sockets or programs: each is closed when the body ends, the newest first, however it ends. What is
 * left open keeps a failed file from its end.
 */
export const closing = (body: (later: Later) => Promise<void>) => async (): Promise<void> => {
  const opened: (() => unknown)[] = []
  try {
    await body(close => opened.push(close))
  } finally {
    for (const close of opened.reverse()) await close()
  }
}
