// daemon.js - a daemon of this test run's own.
'use strict';
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const program = process.env.NEXADB_BIN ?? path.join(__dirname, '../../../build/daemon/nexadb');

/** Resolves to { host, port, apiKey, stop } once it answers. */
async function start() {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'nexadb-js-'));
  const dataDir = path.join(scratch, 'data');
  const address = path.join(dataDir, 'http.addr');
  const child = spawn(program, ['serve', '--http', '127.0.0.1:0', dataDir], { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = new Promise(resolve => child.on('exit', (code, signal) => resolve(signal ?? code)));
  let text = '';
  for (const deadline = Date.now() + 60000; !text; ) {
    if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error('the daemon is not ready');
    text = fs.existsSync(address) ? fs.readFileSync(address, 'utf8').trim() : '';
    if (!text) await new Promise(resolve => setTimeout(resolve, 20));
  }
  const colon = text.lastIndexOf(':');
  return {
    host: text.slice(0, colon), port: Number(text.slice(colon + 1)),
    apiKey: fs.readFileSync(path.join(dataDir, 'api.key'), 'utf8').trim(),
    async stop() {
      child.kill('SIGTERM');
      const status = await ended;
      fs.rmSync(scratch, { recursive: true, force: true });
      if (status !== 0) throw new Error(`the daemon ended with ${status}`);
    },
  };
}

module.exports = { start };
