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
    const task: BoardTask = {
      url: `http://127.0.0.1:${server.port}`,
      chainId: genesis.chainId,
      anchor: toHex(producer.block(1n)!.blockId.hash),
      key: `account/${buyer.id}`,
      headers: quick ? 300 : 10_000,
      proofs: quick ? 3 : 100,
      folder: plain.folder,
    }
    // The board asks for each block by a line, so that its head rises one by one.
    const result = await plain.run<BoardResult>('board', task, async () => {
      await producer.produce()
      return 'made'
    })
    const mega = (bytes: number) => bytes / 1e6
    return [
      {
        id: 'memory.light',
        what: `light client's memory after ${result.headers.toLocaleString('en')} headers and ${result.proofs} proofs`,
        value: mega(result.rssBytes),
        unit: 'MB',
        asked: '80',
        floor: { what: 'the same process before its first header', value: mega(result.idleBytes), unit: 'MB' },
        note: `resident; at its peak ${mega(result.peakBytes).toFixed(0)} MB`,
      },
    ]
  } finally {
    plain.remove()
    await server.close()
  }
}
