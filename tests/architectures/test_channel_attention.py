import torch

from nnunet_sparse.architectures.channel_attention import ChannelAttention


def test_by_hand():
    attention = ChannelAttention(2, 1)
    first, _, last = attention.perceptron
    with torch.no_grad():
        first.weight.zero_()
        first.weight[0] = torch.tensor([1.0, -1])  # one hidden unit: relu(first - second channel)
        last.weight.zero_()
        last.weight[:, 0] = torch.tensor([1.0, -1])
    x = torch.tensor([[[[1.0, 3]], [[0, 5]]]])
    # means 2 and 2.5, hidden 0; maxima 3 and 5, hidden 0
    assert attention.weights(x).tolist() == [[0.5, 0.5]]
    # means 4 and 2.5, hidden 1.5; maxima 6 and 5, hidden 1
    x[0, 0, 0] = torch.tensor([2.0, 6])
    expected = torch.tensor([[2.5, -2.5]]).sigmoid()
    torch.testing.assert_close(attention.weights(x), expected)
    torch.testing.assert_close(attention(x), x * expected[:, :, None, None])


def test_hidden_units():
    assert ChannelAttention(512, 16).perceptron[0].out_features == 32
    assert ChannelAttention(32, 16).perceptron[0].out_features == 8
