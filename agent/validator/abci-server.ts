/**
 * One connection of a CometBFT node: requests are answered one after the other, in their order.
 *
 * The node takes a missing, wrong or misplaced answer for the application's death and ends, so an answer is always of its
 * request's kind, or an exception, after which the connection is ended.
 */
import type { SocketConnection } from '../../drivers/socket/server.ts'
import { concat } from '../../protocol/bytes.ts'
import { frameMessage, MAX_ABCI_MESSAGE_BYTES, pullMessage } from '../../protocol/chain/abci-frame.ts'
import { type AbciRequest, decodeRequest } from '../../protocol/chain/abci-request.ts'
import { type AbciResponse, encodeResponse } from '../../protocol/chain/abci-response.ts'
import { type Fault, faultLine } from '../../protocol/result.ts'

/** A fault with which the application cannot go on; the node is told and ends. */
export class AbciException extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(faultLine(fault))
    this.fault = fault
  }
}

export interface AbciApplication {
  /** Throws an AbciException where the node has to end; any other error is a bug of ours, and ends it too. */
  answer(request: AbciRequest): Promise<AbciResponse>
}

interface ServeOptions {
  readonly onException: (error: AbciException) => void
  readonly onBug: (error: unknown) => void
  readonly limit?: number
}

/** Answers that wait to be sent together; more is sent before the next request is read. */
const BATCH_BYTES = 64 * 1024

/** Serves a connection until it ends. */
export async function serveAbci(
  connection: SocketConnection,
  application: AbciApplication,
  { onException, onBug, limit = MAX_ABCI_MESSAGE_BYTES }: ServeOptions,
): Promise<void> {
  const arrived = gatherBytes()
  let answers: Uint8Array[] = []
  let waiting = 0

  async function send(): Promise<void> {
    if (waiting === 0) return
    const bytes = concat(...answers)
    answers = []
    waiting = 0
    await connection.write(bytes)
  }

  async function reply(response: AbciResponse): Promise<void> {
    const framed = frameMessage(encodeResponse(response))
    answers.push(framed)
    waiting += framed.length
    if (waiting >= BATCH_BYTES) await send()
  }

  async function giveUp(fault: Fault): Promise<void> {
    const error = new AbciException(fault)
    onException(error)
    await reply({ kind: 'exception', error: error.message })
    await send()
    connection.close()
  }

  async function answer(message: Uint8Array): Promise<AbciResponse> {
    const request = decodeRequest(message)
    if (request.ok) return application.answer(request.value)
    if (request.fault.code === 'abci.too-many-txs') return { kind: 'processProposal', accept: false }
    throw new AbciException(request.fault)
  }

  for await (const chunk of connection.chunks) {
    arrived.add(chunk)
    for (;;) {
      const pulled = pullMessage(arrived.bytes(), limit)
      if (pulled.kind === 'junk') return giveUp(pulled.fault)
      if (pulled.kind === 'need') {
        arrived.expect(pulled.bytes)
        break
      }
      try {
        await reply(await answer(pulled.value))
      } catch (error) {
        if (!(error instanceof AbciException)) onBug(error)
        return giveUp(
          error instanceof AbciException
            ? error.fault
            : { code: 'abci.bug', why: String((error as Error).message ?? error) },
        )
      }
      arrived.drop(pulled.used)
    }
    await send()
  }
}

/** Bytes in a row. A frame of many pieces is copied once, into a buffer of its size. */
function gatherBytes() {
  let buffer: Uint8Array = new Uint8Array(0)
  let from = 0
  let to = 0
  let expected = 0
  return {
    add(chunk: Uint8Array): void {
      if (from === to) {
        // Nothing is kept: the piece itself is the buffer, and is not written to, being full.
        buffer = chunk
        from = 0
        to = chunk.length
        return
      }
      if (to + chunk.length > buffer.length) {
        const grown = new Uint8Array(to - from + Math.max(chunk.length, expected))
        grown.set(buffer.subarray(from, to))
        buffer = grown
        to -= from
        from = 0
      }
      buffer.set(chunk, to)
      to += chunk.length
    },
    bytes: () => buffer.subarray(from, to),
    /** At least so many more will come. */
    expect(more: number): void {
      expected = more
    },
    drop(used: number): void {
      from += used
    },
  }
}
