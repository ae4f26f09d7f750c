/** What every Index must do, on LevelDB and in memory. */
import type { Index } from '../../drivers/ports.ts'
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { must, type Result } from '../../protocol/result.ts'
import { assert, type Suite } from '../harness.ts'

export interface IndexUnderTest {
  readonly index: Index
  end(): Promise<void>
}

export function indexCases(t: Suite, name: string, make: () => Promise<IndexUnderTest>): void {
  const on = (what: string, body: (index: Index) => Promise<void>) =>
    t(`${name}: ${what}`, async () => {
      const under = await make()
      try {
        await body(under.index)
      } finally {
        await under.end()
      }
    })
  const texts = (found: Result<readonly (readonly [string, Uint8Array])[]>) =>
    must(found).map(([key, value]) => `${key}=${fromUtf8(value)}`)

  on('what was written is there under its key, and nothing under others', async index => {
    must(await index.write([['a', utf8('1')]]))
    assert.equal(must(await index.get('a')), utf8('1'))
    assert.is(must(await index.get('b')), undefined)
  })

  on('a write replaces and removes', async index => {
    must(
      await index.write([
        ['a', utf8('1')],
        ['b', utf8('2')],
      ]),
    )
    must(
      await index.write([
        ['a', utf8('3')],
        ['b', undefined],
        ['c', undefined],
      ]),
    )
    assert.equal(texts(await index.range({ from: '', to: 'z' })), ['a=3'])
  })

  on('a range has its keys in order, the first included and the last not, from either end', async index => {
    must(await index.write(['c', 'a', 'b1', 'd', 'b'].map(key => [key, utf8(key)] as const)))
    assert.equal(texts(await index.range({ from: 'a', to: 'c' })), ['a=a', 'b=b', 'b1=b1'])
    assert.equal(texts(await index.range({ from: 'a', to: 'd', reverse: true, limit: 2 })), ['c=c', 'b1=b1'])
    assert.equal(texts(await index.range({ from: 'x', to: 'z' })), [])
  })

  on('begun anew it is empty, and stays so', async index => {
    must(await index.write([['a', utf8('1')]]))
    must(await index.renew())
    assert.is(must(await index.get('a')), undefined)
    must(await index.write([['b', utf8('2')]]))
    await index.settle()
    assert.equal(texts(await index.range({ from: '', to: 'z' })), ['b=2'])
  })
}
