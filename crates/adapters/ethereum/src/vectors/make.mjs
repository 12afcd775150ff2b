// Makes signatures.json with a library that nobody here wrote: npm install ethers@6.17.0 && node make.mjs > signatures.json
import { Interface, Wallet, getAddress, hashMessage, version } from "ethers";

const keys = [
  "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318",
  "0x0123456789012345678901234567890123456789012345678901234567890123",
  "0x00000000000000000000000000000000000000000000000000000000000000ab",
];
const signIn = (address) =>
  `na.posx.test wants you to sign in with your Ethereum account:\n${address}\n\nSign in at NA.\n\nURI: https://na.posx.test/\n` +
  "Version: 1\nChain ID: 1\nNonce: 0123456789abcdef0123456789abcdef\nIssued At: 2026-03-01T12:00:00Z";
const signatures = [];
for (const key of keys) {
  const wallet = new Wallet(key);
  for (const message of ["", "hello world", "Grüße, ⛓", "x".repeat(1000), signIn(wallet.address)]) {
    signatures.push({
      address: wallet.address,
      message,
      hash: hashMessage(message),
      signature: await wallet.signMessage(message),
    });
  }
}
const contract = new Interface(["function isValidSignature(bytes32,bytes) view returns (bytes4)"]);
const calls = ["0x", "0x01", "0x" + "ab".repeat(32), "0x" + "cd".repeat(65)].map((signature) => ({
  hash: hashMessage("hello world"),
  signature,
  data: contract.encodeFunctionData("isValidSignature", [hashMessage("hello world"), signature]),
}));
const answer = contract.encodeFunctionResult("isValidSignature", ["0x1626ba7e"]);
const addresses = ["0x52908400098527886e0f7030069857d2e4169ee7", "0xde709f2102306220921060314715629080e2fb77"].map(getAddress);
console.log(JSON.stringify({ ethers: version, signatures, calls, answer, addresses }, null, 1));
