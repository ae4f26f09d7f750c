/**
 * The memory of a board's light client: the product's own client, alone in a process of plain JavaScript, follows a ledger
 * header by header over HTTP and proves what stands under a key.
 */
import { createProducer } from '../../agent/validator/producer.ts'
import { rpcRoutes } from '../../agent/validator/rpc.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import { toHex, utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { buyer, genesis } from '../protocol/ledger/parties.ts'
import type { BoardResult, BoardTask } from './board.ts'
import { compilePlain } from './plain.ts'
import type { BenchOptions, Row } from './report.ts'

/**
 * A board's. Without them V8 lets the young generation alone grow to 48 MB before it looks twice, on any machine with memory
 * to spare; the client's live data are 10 MB.
 */
const BOARD_FLAGS = ['--max-semi-space-size=1', '--optimize-for-size']

export async function measureMemory({ quick }: BenchOptions): Promise<readonly Row[]> {
  const { clock, timers } = createSystemTime()
  const signers = Array.from({ length: 4 }, (_, i) => createSigner(sha256(utf8(`validator ${i}`))))
  const begun = { ...genesis, time: instant(clock.now() - 60_000) }
  const verifier = createVerifier()
  const producer = createProducer({ genesis: begun, signers, clock, timers, verifier, keep: 1000 })
  await producer.produce()
  await producer.produce()
  const onBug = (error: unknown) => {
    throw error
  }
  const server = must(await serveHttp({ port: 0, routes: rpcRoutes(producer, timers), onBug }))
  const plain = compilePlain(['board'])
  try {
    const rows: Row[] = []
    for (const { id, flags } of [
      { id: 'memory.light', flags: BOARD_FLAGS },
      { id: 'memory.light.unbounded', flags: [] },
    ]) {
      const anchor = producer.status().height
      const task: BoardTask = {
        url: `http://127.0.0.1:${server.port}`,
        chainId: genesis.chainId,
        anchor: { height: String(anchor), hash: toHex(producer.block(anchor)!.blockId.hash) },
        key: `account/${buyer.id}`,
        headers: quick ? 300 : 10_000,
        proofs: quick ? 3 : 100,
        folder: `${plain.folder}/${id}`,
      }
      // The board asks for each block by a line, so that its head rises one by one.
      const onLine = async () => {
        await producer.produce()
        return 'made'
      }
      const result = await plain.run<BoardResult>('board', task, { flags, onLine })
      const headers = result.headers.toLocaleString('en')
      rows.push({
        id,
        what: `light client's memory after ${headers} headers and ${result.proofs} proofs`,
        value: result.rssBytes / 1e6,
        unit: 'MB',
        ...(flags.length > 0 ? { asked: '80' } : {}),
        floor: { what: 'the same process before its first header', value: result.idleBytes / 1e6, unit: 'MB' },
        note: `resident; at its peak ${(result.peakBytes / 1e6).toFixed(0)} MB; node ${flags.join(' ') || 'without flags'}`,
      })
    }
    return rows
  } finally {
    plain.remove()
    await server.close()
  }
}
