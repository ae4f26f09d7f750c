import { showRows } from './shown.ts'

showRows('rows-benches').run()
