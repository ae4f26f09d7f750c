import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTextAppender } from '../../drivers/text-appender.ts'
import { must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'

const test = suite('text appender')
const folder = mkdtempSync(join(tmpdir(), 'tieline-append-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

test('every piece is in the file when append returns, in order and as UTF-8, for its owner only', () => {
  const file = join(folder, 'a')
  const appender = must(createTextAppender(file))
  let expected = ''
  for (const piece of ['one\n', '', 'zwölf\n', 'x'.repeat(100_000)]) {
    expected += piece
    must(appender.append(piece))
    assert.is(readFileSync(file, 'utf8'), expected)
  }
  assert.is(statSync(file).mode & 0o777, 0o600)
  const open = readdirSync('/proc/self/fd').length
  appender.close()
  appender.close()
  assert.is(readdirSync('/proc/self/fd').length, open - 1)
  const after = appender.append('more')
  assert.is(!after.ok && after.fault.code, 'file.closed')
})

test('a file that is there is left as it is, and a folder that is not there is a fault', () => {
  const file = join(folder, 'b')
  must(createTextAppender(file)).close()
  const again = createTextAppender(file)
  assert.is(!again.ok && again.fault.code, 'file.exists')
  const nowhere = createTextAppender(join(folder, 'none', 'c'))
  assert.equal(!nowhere.ok && [nowhere.fault.code, nowhere.fault['why']], ['file.uncreated', 'ENOENT'])
})

test.run()
